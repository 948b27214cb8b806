/* ELRT_API marks what a shared library of elrt offers; all else stays inside (the library is compiled with hidden
 * visibility). In a static library it means nothing. */
#ifndef ELRT_EXPORT_H_
#define ELRT_EXPORT_H_

#if defined(__GNUC__) || defined(__clang__)
#define ELRT_API __attribute__((visibility("default")))
#else
#define ELRT_API
#endif

#endif /* ELRT_EXPORT_H_ */

/* ELRT_API marks what a shared library of elrt offers; all else stays inside (the library is compiled with hidden
 * visibility), ELRT_HIDDEN what would be offered along with the class around it. In a static library both mean
 * nothing. */
#ifndef ELRT_EXPORT_H_
#define ELRT_EXPORT_H_

#if defined(__GNUC__) || defined(__clang__)
#define ELRT_API __attribute__((visibility("default")))
#define ELRT_HIDDEN __attribute__((visibility("hidden")))
#else
#define ELRT_API
#define ELRT_HIDDEN
#endif

#endif /* ELRT_EXPORT_H_ */

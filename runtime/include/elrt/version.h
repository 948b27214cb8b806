/* The version of these headers. A program compares it with what the library that it runs with says: elrt_version(),
 * elrt_version_number(). */
#ifndef ELRT_VERSION_H_
#define ELRT_VERSION_H_

#define ELRT_VERSION_MAJOR 0
#define ELRT_VERSION_MINOR 2
#define ELRT_VERSION_PATCH 0
#define ELRT_VERSION "0.2.0"
/* To compare: 200 is 0.2.0, 10203 is 1.2.3. */
#define ELRT_VERSION_NUMBER (ELRT_VERSION_MAJOR * 10000 + ELRT_VERSION_MINOR * 100 + ELRT_VERSION_PATCH)

#endif /* ELRT_VERSION_H_ */

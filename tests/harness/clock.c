/*
 * Preloaded into a server of a test: the time of day, moved by as many seconds as a file says at that moment.
 * Monotonic clocks, which waits are measured with, stay as they are.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *distance;

__attribute__((constructor)) static void
map_distance(void)
{
	const char *path = getenv("KAKUNIN_TEST_CLOCK");
	int			file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (file < 0)
		return;
	void	   *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);

	close(file);
	if (mapped != MAP_FAILED)
		distance = mapped;
}

/* Asks the kernel itself: the C library's function is this one now. */
int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int			result = (int) syscall(SYS_clock_gettime, clock, now);

	if (result == 0 && distance && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += *distance;
	return result;
}

int
gettimeofday(struct timeval *now, void *zone)
{
	struct timespec precise;

	(void) zone;
	clock_gettime(CLOCK_REALTIME, &precise);
	now->tv_sec = precise.tv_sec;
	now->tv_usec = precise.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *now)
{
	struct timespec precise;

	clock_gettime(CLOCK_REALTIME, &precise);
	if (now)
		*now = precise.tv_sec;
	return precise.tv_sec;
}

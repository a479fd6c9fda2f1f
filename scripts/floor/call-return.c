/*
 * call-return: what a `ret` costs whose `call` was made before a system call.
 *
 * Why the floors with inline system calls are cheaper: a processor predicts where a `ret` goes from
 * the stack of calls it has seen. Where the kernel's return-stack mitigations spoil that stack, the
 * first `ret` that leaves the frame of a system call is mispredicted. Calls and returns that are
 * balanced between two system calls cost nothing.
 *
 * Run it pinned, on a quiet machine: `taskset -c 0 call-return`. It prints ns per way, three
 * times: compare "in the loop's frame" with "in a function", each time of the same round.
 */
#include "wrappers.h"

#include <time.h>

#define TIMES 300000

/* The same system call, from a function that returns after it. */
static __attribute__((noinline)) long
in_function(long number, long a, long b, long c)
{
	return inline_call(number, a, b, c, 0, 0, 0);
}

/* A call and a return between two system calls. */
static __attribute__((noinline)) long
balanced(long x)
{
	__asm__ volatile("" ::"r"(x));
	return x;
}

static double
now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

#define WAY(name, ...)                                                          \
	do {                                                                    \
		double start = now_ns();                                        \
		for (int i = 0; i < TIMES; i++) {                               \
			__VA_ARGS__;                                            \
		}                                                               \
		printf("%-42s %7.1f ns\n", name, (now_ns() - start) / TIMES);   \
	} while (0)

int
main(void)
{
	int ends[2];
	char bytes[64] = {0};

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		err_sys("socketpair");
	for (int round = 0; round < 3; round++) {
		WAY("getppid in the loop's frame", inline_call(SYS_getppid, 0, 0, 0, 0, 0, 0));
		WAY("getppid in a function", in_function(SYS_getppid, 0, 0, 0));
		WAY("getppid in the frame, then call and return",
		    inline_call(SYS_getppid, 0, 0, 0, 0, 0, 0); balanced(i));
		WAY("send + receive in the frame", send(ends[0], bytes, 32, 0);
		    recv(ends[1], bytes, 64, 0));
		WAY("send + receive in a function", in_function(SYS_sendto, ends[0], (long)bytes, 32);
		    in_function(SYS_recvfrom, ends[1], (long)bytes, 64));
	}
}

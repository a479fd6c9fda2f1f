/*
 * The system calls of a floor's loop, made by the loop's own frame (gcc -DINLINE).
 *
 * A function of the C library is called before its system call and returns after it. On processors
 * with return-stack mitigations the way through the kernel leaves no prediction for that return; it
 * then costs up to some hundred nanoseconds (call-return measures how many). These macros take the
 * names of the functions, so that one source is both forms of a floor. x86-64 only.
 */
#ifndef __x86_64__
#error "inline system calls are written for x86-64 only"
#endif
#include <sys/syscall.h>

ALWAYS_INLINE long
inline_call(long number, long a, long b, long c, long d, long e, long f)
{
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

#define recv(fd, buf, length, flags) inline_call(SYS_recvfrom, fd, (long)(buf), length, flags, 0, 0)
#define send(fd, buf, length, flags) inline_call(SYS_sendto, fd, (long)(buf), length, flags, 0, 0)
#define accept4(fd, address, length, flags) \
	inline_call(SYS_accept4, fd, (long)(address), (long)(length), flags, 0, 0)
#define close(fd) inline_call(SYS_close, fd, 0, 0, 0, 0, 0)
#define epoll_wait(epoll, events, count, ms) \
	inline_call(SYS_epoll_wait, epoll, (long)(events), count, ms, 0, 0)
#define epoll_ctl(epoll, what, fd, event) \
	inline_call(SYS_epoll_ctl, epoll, what, fd, (long)(event), 0, 0)
#define sigtimedwait(set, info, timeout) \
	inline_call(SYS_rt_sigtimedwait, (long)(set), (long)(info), (long)(timeout), 8, 0, 0)

/*
 * floor-signal, and with -DINLINE floor-signal-inline: the floor of signal-driven.
 *
 * Every socket reports what happens on it by a queued real-time signal (F_SETSIG), which the one
 * thread takes by sigtimedwait, one per call. What is readable is received once, into a buffer that
 * all connections share, and answered once with a constant reply. A connection is read as it is
 * accepted as well, because what came before O_ASYNC sent no signal.
 *
 * It leaves out what floor-epoll leaves out, and the overflow of the queue (SIGIO): the load keeps
 * far below RLIMIT_SIGPENDING.
 *
 * System calls per request: rt_sigtimedwait, recv, send. No wait is shared between connections, so a
 * signal and its wait are what this costs beyond floor-epoll. Per connection: accept4, three fcntl,
 * the recv that finds nothing yet, and those that find the end, and close.
 *
 * Usage: floor-signal PORT [close | pipe | spin]
 */
#include "floor.h"

#define SIGNAL (SIGRTMIN + 1)

/* Has the kernel send this process SIGNAL whenever something happens on fd. */
static inline void
Fcntl_signal(int fd)
{
	if (fcntl(fd, F_SETOWN, getpid()) < 0 || fcntl(fd, F_SETSIG, SIGNAL) < 0
	    || fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
		err_sys("fcntl");
}

/* Receives once, and answers what came. Closes at the end, or after one reply in the mode CLOSE. */
ALWAYS_INLINE void
serve(int fd)
{
	static char received[65536];
	static ssize_t request_length;
	ssize_t length = recv(fd, received, sizeof(received), 0);

	if (length < 0 && (errno == EAGAIN || errno == EINTR || errno == EBADF))
		return;	/* nothing yet, or the signal of a connection that was closed */
	if (length > 0) {
		struct reply reply = reply_to(received, length, &request_length);
		send(fd, reply.bytes, reply.length, MSG_NOSIGNAL);
	}
	if (length <= 0 || mode == CLOSE)
		close(fd);
}

ALWAYS_INLINE void
accept_all(int listener)
{
	int connection;

	while ((connection = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		Fcntl_signal(connection);
		serve(connection);
	}
}

int
main(int argc, char **argv)
{
	int listener = Tcp_listen(arguments(argc, argv), SOCK_NONBLOCK);
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigprocmask(SIG_BLOCK, &set, NULL);
	Fcntl_signal(listener);
	accept_all(listener);	/* who came before sent no signal */
	for (;;) {
		if (sigtimedwait(&set, &info, NULL) < 0)
			continue;
		if (info.si_fd == listener)
			accept_all(listener);
		else
			serve(info.si_fd);
	}
}

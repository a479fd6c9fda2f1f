/*
 * Error-checking wrappers, as in UNP section 1.4: a function with a capital initial ends the program
 * when its system call fails, so that the programs read as they work.
 */
#ifndef WRAPPERS_H
#define WRAPPERS_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#ifdef INLINE
#include "inline.h"	/* last, because it renames what the headers above declare */
#endif

static inline void
err_sys(const char *what)
{
	perror(what);
	exit(1);
}

static inline void
err_quit(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(2);
}

static inline int
Socket(int family, int type, int protocol)
{
	int fd = socket(family, type, protocol);
	if (fd < 0)
		err_sys("socket");
	return fd;
}

static inline void
Setsockopt(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		err_sys("setsockopt");
}

static inline void
Bind(int fd, const struct sockaddr_in *address)
{
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		err_sys("bind");
}

static inline void
Listen(int fd, int backlog)
{
	if (listen(fd, backlog) < 0)
		err_sys("listen");
}

static inline void
Connect(int fd, const struct sockaddr_in *address)
{
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		err_sys("connect");
}

static inline int
Epoll_create1(int flags)
{
	int epoll = epoll_create1(flags);
	if (epoll < 0)
		err_sys("epoll_create1");
	return epoll;
}

/* Watches fd for input, level-triggered. */
ALWAYS_INLINE void
Epoll_add(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err_sys("epoll_ctl");
}

static inline struct sockaddr_in
loopback(const char *port)
{
	char *end;
	long number = strtol(port, &end, 10);
	if (*port == '\0' || *end != '\0' || number < 0 || number > 65535)
		err_quit("the port must be a number from 0 to 65535");
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(number),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

#endif

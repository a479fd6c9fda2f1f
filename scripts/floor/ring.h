/*
 * The ring of floor-uring and rawload: io_uring for one thread, which runs the kernel's deferred
 * work only when it waits, and a ring of buffers that the kernel receives into.
 */
#ifndef RING_H
#define RING_H

#include <liburing.h>

#define RING_GROUP 0	/* the only group of buffers */
#define RING_QUIET (~0ul)	/* the tag of entries that complete only if they fail */

struct ring {
	struct io_uring uring;
	struct io_uring_buf_ring *free;	/* what the kernel may receive into */
	char *buffers;
	unsigned count, bytes;	/* how many buffers, a power of two, and how large each */
	int returned;	/* buffers given back since the last advance */
};

static inline void
err_ring(const char *what, int negative_errno)
{
	errno = -negative_errno;
	err_sys(what);
}

static inline char *
ring_buffer(const struct ring *ring, unsigned number)
{
	return ring->buffers + (size_t)number * ring->bytes;
}

/* Gives a buffer back; the kernel sees it with the next ring_advance. */
static inline void
ring_return(struct ring *ring, unsigned number)
{
	io_uring_buf_ring_add(ring->free, ring_buffer(ring, number), ring->bytes, number,
			      ring->count - 1, ring->returned++);
}

/* Ends a round: hands the returned buffers and `seen` completions to the kernel. */
static inline void
ring_advance(struct ring *ring, unsigned seen)
{
	io_uring_buf_ring_advance(ring->free, ring->returned);
	ring->returned = 0;
	io_uring_cq_advance(&ring->uring, seen);
}

static inline void
Ring_init(struct ring *ring, unsigned entries, unsigned completions, unsigned count, unsigned bytes)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE,
		.cq_entries = completions,
	};
	size_t table_bytes = count * sizeof(struct io_uring_buf);
	int error;

	*ring = (struct ring){.count = count, .bytes = bytes};
	ring->free = aligned_alloc(4096, table_bytes);
	ring->buffers = aligned_alloc(4096, (size_t)count * bytes);
	if (ring->free == NULL || ring->buffers == NULL)
		err_sys("aligned_alloc");
	memset(ring->free, 0, table_bytes);
	if ((error = io_uring_queue_init_params(entries, &ring->uring, &params)) < 0)
		err_ring("io_uring_queue_init_params", error);
	io_uring_register_ring_fd(&ring->uring);

	struct io_uring_buf_reg registration = {
		.ring_addr = (unsigned long)ring->free,
		.ring_entries = count,
		.bgid = RING_GROUP,
	};
	if ((error = io_uring_register_buf_ring(&ring->uring, &registration, 0)) < 0)
		err_ring("io_uring_register_buf_ring", error);
	io_uring_buf_ring_init(ring->free);
	for (unsigned number = 0; number < count; number++)
		ring_return(ring, number);
	ring_advance(ring, 0);
}

/* A free submission entry; when there is none, those that wait are submitted first. */
static inline struct io_uring_sqe *
ring_entry(struct ring *ring)
{
	struct io_uring_sqe *entry;

	while ((entry = io_uring_get_sqe(&ring->uring)) == NULL)
		io_uring_submit(&ring->uring);
	return entry;
}

/* Receives from fd until it ends, each time into a buffer that the kernel picks. */
static inline void
ring_receive(struct ring *ring, int fd, unsigned long tag)
{
	struct io_uring_sqe *entry = ring_entry(ring);

	io_uring_prep_recv_multishot(entry, fd, NULL, 0, 0);
	entry->flags |= IOSQE_BUFFER_SELECT;
	entry->buf_group = RING_GROUP;
	io_uring_sqe_set_data64(entry, tag);
}

/* The entry completes only if it fails. */
static inline void
ring_quiet(struct io_uring_sqe *entry)
{
	entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(entry, RING_QUIET);
}

/* Sends, and completes only if that fails. Returns the entry, for flags that link it to the next. */
static inline struct io_uring_sqe *
ring_send(struct ring *ring, int fd, const void *bytes, size_t length, int flags)
{
	struct io_uring_sqe *entry = ring_entry(ring);

	io_uring_prep_send(entry, fd, bytes, length, MSG_NOSIGNAL | flags);
	ring_quiet(entry);
	return entry;
}

/* Submits and takes what completed: waits for one completion, or with spin for none. */
static inline void
ring_turn(struct ring *ring, int spin)
{
	if (spin)
		io_uring_submit_and_get_events(&ring->uring);
	else
		io_uring_submit_and_wait(&ring->uring, 1);
}

#endif

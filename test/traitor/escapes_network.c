/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to a network, or to other processes by sockets. */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "test/traitor/traitor.h"

enum { NAME_BYTES = 64, FIRST_INDEX = 2 };

static struct io_uring ring;

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static long connect_to(int family, int type, const void *address, size_t len)
{
	const int fd = (int)syscall(SYS_socket, family, type, 0);
	const long r = fd < 0 ? -errno : outcome(syscall(SYS_connect, fd, address, len));

	if (fd >= 0)
		close(fd);
	return r;
}

static long bind_to(int family, const void *address, size_t len)
{
	const int fd = (int)syscall(SYS_socket, family, SOCK_STREAM, 0);
	const long r = fd < 0 ? -errno : outcome(syscall(SYS_bind, fd, address, len));

	if (fd >= 0)
		close(fd);
	return r;
}

static long try_tcp(void)
{
	const struct sockaddr_in address = loopback(loot.port);

	return connect_to(AF_INET, SOCK_STREAM, &address, sizeof(address));
}

static long try_udp(void)
{
	const struct sockaddr_in address = loopback(loot.port);
	const int fd = (int)syscall(SYS_socket, AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? -errno
		      : outcome(syscall(SYS_sendto, fd, "x", 1, 0, &address, sizeof(address)));
}

/* The port is taken in the host's network; where it is free, that is another network. */
static long try_bind(void)
{
	const struct sockaddr_in address = loopback(loot.port);
	const long r = bind_to(AF_INET, &address, sizeof(address));

	return r == -EADDRINUSE ? 0 : r == 0 ? -ENETUNREACH : r;
}

static struct sockaddr_un unix_path(bool is_new, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s",
		 is_new ? loot_new_path(name) : loot_path(name));
	return address;
}

static long try_unix_path(void)
{
	const struct sockaddr_un address = unix_path(false, "socket");

	return connect_to(AF_UNIX, SOCK_STREAM, &address, sizeof(address));
}

static long try_unix_bind(void)
{
	const struct sockaddr_un address = unix_path(true, "bound");
	const long r = bind_to(AF_UNIX, &address, sizeof(address));

	if (r == 0)
		unlink(address.sun_path);
	return r;
}

/* The test listens at volt-traitor-PORT. */
static long try_abstract(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int len = snprintf(address.sun_path + 1, NAME_BYTES, "volt-traitor-%u", loot.port);

	return connect_to(AF_UNIX, SOCK_STREAM, &address,
			  offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

/* The host's interfaces: in a namespace of its own there is the first one only. */
static long try_netlink(void)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg body;
	} ask = {
		.head = { .nlmsg_len = sizeof(ask),
			  .nlmsg_type = RTM_GETLINK,
			  .nlmsg_flags = NLM_F_REQUEST },
		.body = { .ifi_index = FIRST_INDEX },
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[8192];
	} answer;
	const int fd = (int)syscall(SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	if (fd < 0 || write(fd, &ask, sizeof(ask)) < 0 || read(fd, &answer, sizeof(answer)) < 0)
		return -errno;
	return answer.head.nlmsg_type == NLMSG_ERROR ? answer.error.error : 0;
}

/* All that passes the host's first interface. */
static long try_packet(void)
{
	const struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = FIRST_INDEX };
	const int fd = (int)syscall(SYS_socket, AF_PACKET, SOCK_RAW, 0);
	const long r = fd < 0 ? -errno : outcome(syscall(SYS_bind, fd, &address, sizeof(address)));

	return r == -ENETDOWN ? 0 : r; /* it is there */
}

/* The family is not on every host. That nobody answers says that it got out. */
static long try_vsock(void)
{
	const struct sockaddr_vm address = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = 1,
	};
	const long r = connect_to(AF_VSOCK, SOCK_STREAM, &address, sizeof(address));

	return r == -ECONNRESET || r == -ECONNREFUSED || r == -ETIMEDOUT ? 0 : r;
}

static bool has_vsock(void)
{
	return try_vsock() >= 0;
}

int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);

static bool make_early_ring(void)
{
	return __real_io_uring_queue_init(4, &ring, 0) == 0;
}

static long ring_call(void)
{
	struct io_uring_cqe *cqe;
	int r = io_uring_submit_and_wait(&ring, 1);

	if (r >= 0)
		r = io_uring_peek_cqe(&ring, &cqe);
	if (r < 0)
		return r;
	r = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return r;
}

static long try_ring_tcp(void)
{
	struct sockaddr_in address = loopback(loot.port);
	long fd;

	io_uring_prep_rw(IORING_OP_SOCKET, io_uring_get_sqe(&ring), AF_INET, NULL, 0, SOCK_STREAM);
	fd = ring_call();
	if (fd < 0)
		return fd;
	io_uring_prep_connect(io_uring_get_sqe(&ring), (int)fd, (struct sockaddr *)&address,
			      sizeof(address));
	return ring_call();
}

const struct escape network_escapes[] = {
	{ "tcp-connect", try_tcp, NULL },
	{ "tcp-bind", try_bind, NULL },
	{ "udp", try_udp, NULL },
	{ "unix-connect", try_unix_path, NULL },
	{ "unix-bind", try_unix_bind, NULL },
	{ "abstract-connect", try_abstract, NULL },
	{ "netlink", try_netlink, NULL },
	{ "packet-socket", try_packet, NULL },
	{ "vsock", try_vsock, has_vsock },
	{ "tcp-by-a-ring-made-before", try_ring_tcp, make_early_ring },
	{ 0 },
};

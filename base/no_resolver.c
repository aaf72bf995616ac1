/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of the C library that look up names of hosts, protocols and services, in place of its
 * own. libevent refers to them, but nothing here ever asks it for a name; the C library's would bring
 * its resolver, the loading of shared libraries and character set conversion along: half of a static
 * program, and code that a sandbox should not have. They fail.
 */
#include <netdb.h>
#include <stddef.h>

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name): the header's are reserved */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **found)
{
	(void)node;
	(void)service;
	(void)hints;
	*found = NULL;
	return EAI_FAIL;
}

void freeaddrinfo(struct addrinfo *list)
{
	(void)list;
}

const char *gai_strerror(int code)
{
	(void)code;
	return "names are not looked up";
}

struct protoent *getprotobynumber(int number)
{
	(void)number;
	return NULL;
}

struct servent *getservbyname(const char *name, const char *protocol)
{
	(void)name;
	(void)protocol;
	return NULL;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

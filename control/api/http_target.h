/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of a request ("/drives/a?x=1", "http://localhost/drives/a") as a path and a query.
 *
 * The path comes out decoded (RFC 3986, 2.1), so a router compares plain text. Two bytes must not
 * be made by decoding: NUL would end the text early, and '/' would add a segment that was not
 * there. They are refused, as are control characters and what is not UTF-8, so a path can be quoted
 * in a JSON text. The query stays encoded, because '&' and '=' separate its parts; see
 * http_query_get(). Thread: any.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/*
 * Takes @target apart in place: *@path and *@query point into it or to constants; *@query is ""
 * without one. 0, or -EBADMSG with *@why, a sentence for the client. Forms: RFC 9112, 3.2.1 and
 * 3.2.2.
 */
int http_target_parse(char *target, const char **path, const char **query, const char **why);

/*
 * The decoded value of the first parameter @name of @query into @value (NUL-terminated). Returns
 * its length, -ENOENT without such a parameter, -ENAMETOOLONG if it does not fit, -EBADMSG if it
 * is not properly encoded. A parameter without '=' has the value "".
 */
ssize_t http_query_get(const char *query, const char *name, char *value, size_t size);

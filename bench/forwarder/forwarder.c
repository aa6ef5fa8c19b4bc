// The least that a relay can do, in C: the yardstick of `linnet bench relay
// --forwarder`. It receives 64 datagrams a call, looks up where the leg in bytes 3
// to 6 goes, and sends them on. Package relay/load says what its lines mean.
//
//	cc -O2 -o forwarder forwarder.c
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, SIZE = 2048, SESSION_SIZE = 7 };

static void die(const char *what) {
	perror(what);
	exit(1);
}

static long long used_ns(void) {
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000LL + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000LL;
}

int main(void) {
	char line[512];
	char side[64];
	unsigned legs = 0, first = 0, ports = 0;
	if (!fgets(line, sizeof line, stdin)) return 0;
	char *at = strstr(line, "\"legs\":"), *sides = strstr(line, "\",\""), *n = strstr(line, "\"ports\":");
	if (at) sscanf(at, "\"legs\":%u", &legs);
	if (sides) sides = strstr(line, "\"sides\":");
	if (sides) sides = strstr(sides, "\",\"");
	if (!sides || sscanf(sides, "\",\"%63[0-9.]:%u", side, &first) != 2) side[0] = 0;
	if (n) sscanf(n, "\"ports\":%u", &ports);
	struct in_addr ip;
	if (!legs || !ports || !inet_aton(side, &ip)) {
		puts("{\"error\":\"the forwarder in C takes a plan with addresses of IPv4\"}");
		return 1;
	}

	struct sockaddr_in *to = calloc(legs, sizeof *to);
	for (unsigned i = 0; i < legs; i++) // see plan.ends
		to[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(first + (i + i / ports) % ports), .sin_addr = ip};

	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = ip};
	socklen_t len = sizeof own;
	int buffer = 4 << 20;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	if (bind(fd, (struct sockaddr *)&own, len) || getsockname(fd, (struct sockaddr *)&own, &len)) die("bind");
	printf("{\"addr\":\"%s:%u\",\"tags\":[", inet_ntoa(own.sin_addr), ntohs(own.sin_port));
	for (unsigned i = 0; i < legs; i++) printf(i ? ",%u" : "%u", i);
	puts("]}");
	fflush(stdout);

	static char data[BATCH][SIZE];
	struct iovec part[BATCH];
	struct mmsghdr in[BATCH];
	memset(in, 0, sizeof in);
	long long packets = 0;
	struct pollfd what[2] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	for (int round = 0;; round++) {
		if (round % 64 == 0) {
			if (poll(what, 2, -1) < 0) die("poll");
			if (what[1].revents) {
				if (!fgets(line, sizeof line, stdin)) return 0;
				printf("{\"packets\":%lld,\"cpu_ns\":%lld}\n", packets, used_ns());
				fflush(stdout);
			}
		}
		for (int i = 0; i < BATCH; i++) {
			part[i] = (struct iovec){data[i], SIZE};
			in[i].msg_hdr = (struct msghdr){.msg_iov = &part[i], .msg_iovlen = 1};
		}
		int got = recvmmsg(fd, in, BATCH, MSG_DONTWAIT, 0);
		if (got <= 0) {
			round = -1; // nothing there: wait
			continue;
		}
		int out = 0;
		for (int i = 0; i < got; i++) {
			if (in[i].msg_len < SESSION_SIZE) continue;
			unsigned leg;
			memcpy(&leg, data[i] + 3, 4);
			part[i].iov_len = in[i].msg_len;
			in[out++].msg_hdr = (struct msghdr){.msg_name = &to[ntohl(leg) % legs], .msg_namelen = sizeof *to, .msg_iov = &part[i], .msg_iovlen = 1};
		}
		for (int sent = 0; sent < out;) {
			int k = sendmmsg(fd, in + sent, out - sent, 0);
			if (k <= 0) { // one that cannot be sent is lost, as with the others
				sent++;
				continue;
			}
			packets += k;
			sent += k;
		}
	}
}

// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * rdma_cm, and peers that say whatever they like. The input is a program: a
 * letter, and what it needs of the bytes after. Peers connect to our listeners,
 * or we to a socket that is theirs; their messages are good ones with a few bytes
 * changed, or no messages at all. Our thread does not run: its rounds are steps.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cm/cm.h"
#include "input.h"
#include "scratch.h"

#define MAX_STEPS 300
#define MAX_PEERS 8
#define MAX_IDS	  16

#define OUR_PORT   4711
#define THEIR_PORT 4712
#define LOOPBACK   "00000000000000000000ffff7f000001"

/* what they call for pthread_create(); that of the verbs is real */
int fuzz_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			void *(*fn)(void *arg), void *arg);

int fuzz_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			void *(*fn)(void *arg), void *arg)
{
	(void)attr;
	(void)fn;
	(void)arg;
	*thread = pthread_self();
	return 0;
}

static struct softverbs *sv;

struct world {
	struct rdma_event_channel *channel;
	struct rdma_cm_id *ids[MAX_IDS];
	int peers[MAX_PEERS];
	int theirs; /* where they listen */
};

/* ---- sockets of the peers ---- */

static void make_path(struct sockaddr_un *address, int dir, const char *name)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	snprintf(address->sun_path, sizeof(address->sun_path),
		 "/proc/self/fd/%d/%s", dir, name);
}

static int peer_socket(void)
{
	return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		      0);
}

static int listen_as_peer(void)
{
	int dir = cm_port_dir(sv, true), fd = peer_socket();
	struct sockaddr_un address;
	char name[64];

	snprintf(name, sizeof(name), "%04x-%05u-" LOOPBACK, RDMA_PS_TCP,
		 THEIR_PORT);
	unlinkat(dir, name, 0);
	make_path(&address, dir, name);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, MAX_PEERS))
		scratch_fail("no socket");
	close(dir);
	return fd;
}

static int call(uint8_t kind)
{
	int dir = cm_port_dir(sv, false), fd = peer_socket();
	struct sockaddr_un address;
	char name[64];

	snprintf(name, sizeof(name), "%04x-%05u-" LOOPBACK,
		 kind & 1 ? RDMA_PS_UDP : RDMA_PS_TCP, OUR_PORT);
	make_path(&address, dir, name);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		fd = -1;
	}
	close(dir);
	return fd;
}

static void take_peer(struct world *w, int fd)
{
	int i;

	for (i = 0; i < MAX_PEERS; i++) {
		if (w->peers[i] >= 0)
			continue;
		w->peers[i] = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
}

/* ---- what they say ---- */

static void say(struct world *w, struct input *in)
{
	struct cm_message message = {
		.magic = CM_MAGIC,
		.version = CM_VERSION,
		.src = { .ip = { [10] = 0xff, 0xff, 127, 0, 0, 1 },
			 .port = 1,
			 .family = 4 },
		.mtu = IBV_MTU_1024,
		.qp_num = 7,
		.rnr_retry_count = 1,
		.responder_resources = 1,
		.initiator_depth = 1,
	};
	int fd = w->peers[number(in) % MAX_PEERS];
	uint8_t changes;
	ssize_t n;

	message.dst = message.src;
	message.type = number(in);
	message.ps = message.type >= CM_SIDR_REQ ? RDMA_PS_UDP : RDMA_PS_TCP;
	for (changes = number(in) % 8; changes; changes--)
		((uint8_t *)&message)[(number(in) | number(in) << 8) %
				      sizeof(message)] = number(in);
	n = send(fd, &message, sizeof(message), MSG_NOSIGNAL);
	(void)n;
}

static void babble(struct world *w, struct input *in)
{
	int fd = w->peers[number(in) % MAX_PEERS];
	uint8_t buf[600] = {};
	size_t len = bytes(in, buf, 255) + 2 * number(in);
	ssize_t n = send(fd, buf, len % sizeof(buf), MSG_NOSIGNAL);

	(void)n;
}

/* ---- what we do ---- */

static struct rdma_cm_id **free_slot(struct world *w)
{
	int i;

	for (i = 2; i < MAX_IDS; i++)
		if (!w->ids[i])
			return &w->ids[i];
	return NULL;
}

static void make_qp(struct rdma_cm_id *id)
{
	struct ibv_qp_init_attr init = { .cap = { 1, 1, 1, 1, 0 },
					 .qp_type = id->qp_type };

	rdma_create_qp(id, NULL, &init);
}

static void destroy(struct rdma_cm_id **id)
{
	rdma_destroy_qp(*id);
	rdma_destroy_id(*id);
	*id = NULL;
}

static void ask(struct world *w, struct input *in)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htobe16(THEIR_PORT),
				  .sin_addr.s_addr = htobe32(0x7f000001) };
	struct rdma_conn_param param = { .qp_num = 3, .retry_count = 1 };
	struct rdma_cm_id **id = free_slot(w);

	if (!id || rdma_create_id(w->channel, id, NULL, RDMA_PS_TCP))
		return;
	if (rdma_resolve_addr(*id, NULL, (struct sockaddr *)&to, 1) ||
	    rdma_resolve_route(*id, 1))
		scratch_fail("not resolved");
	if (number(in) & 1)
		make_qp(*id);
	rdma_connect(*id, &param);
	take_peer(w,
		  accept4(w->theirs, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

static void answer(struct world *w, struct rdma_cm_id *request,
		   struct input *in)
{
	struct rdma_conn_param param = { .qp_num = 3 };
	struct rdma_cm_id **id = free_slot(w);
	uint8_t how = number(in);

	if (!id) {
		rdma_destroy_id(request);
		return;
	}
	*id = request;
	if (how & 1)
		make_qp(request);
	if (how & 2)
		rdma_reject(request, "no", 2);
	else if (how & 4)
		destroy(id);
	else
		rdma_accept(request, &param);
}

static void get_event(struct world *w, struct input *in)
{
	struct rdma_cm_event *event;

	if (rdma_get_cm_event(w->channel, &event))
		return;
	if (!*rdma_event_str(event->event))
		scratch_fail("an event of no name");
	if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST)
		answer(w, event->id, in);
	rdma_ack_cm_event(event);
}

static void act(struct world *w, struct input *in)
{
	struct rdma_cm_id **id = &w->ids[2 + number(in) % (MAX_IDS - 2)];

	if (!*id)
		return;
	switch (number(in) % 5) {
	case 0:
		rdma_disconnect(*id);
		break;
	case 1:
		rdma_establish(*id);
		break;
	case 2:
		rdma_notify(*id, IBV_EVENT_COMM_EST);
		break;
	case 3:
		rdma_reject(*id, NULL, 0);
		break;
	default:
		destroy(id);
		break;
	}
}

/* what the user gave to devices, and an id that goes by it */
static void give(struct input *in)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htobe32(0x7f000002) };
	int dir = cm_port_dir(sv, false);
	struct rdma_cm_id *id;
	uint8_t buf[200];
	size_t len = bytes(in, buf, sizeof(buf));

	sv_write_file(dir, "addresses", (const char *)buf, len);
	if (!rdma_create_id(NULL, &id, NULL, RDMA_PS_TCP)) {
		rdma_bind_addr(id, (struct sockaddr *)&at);
		rdma_destroy_id(id);
	}
	unlinkat(dir, "addresses", 0);
	close(dir);
}

/* a name as a port's, or nearly so, that nobody listens to */
static void litter(struct input *in)
{
	char name[100] = "0106-04713-" LOOPBACK;
	int dir = cm_port_dir(sv, false), fd;
	uint8_t buf[50];
	size_t len = bytes(in, buf, sizeof(buf)), i;
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htobe16(4713),
				  .sin_addr.s_addr = htobe32(0x7f000001) };
	struct rdma_cm_id *id;

	for (i = 0; i + 1 < len; i += 2)
		name[buf[i] % (sizeof(name) - 1)] = buf[i + 1];
	fd = strchr(name, '/') ? -1 :
				 openat(dir, name, O_CREAT | O_WRONLY, 0600);
	if (!rdma_create_id(NULL, &id, NULL, RDMA_PS_TCP)) {
		rdma_bind_addr(id, (struct sockaddr *)&at);
		rdma_destroy_id(id);
	}
	if (fd >= 0) {
		unlinkat(dir, name, 0);
		close(fd);
	}
	close(dir);
}

static void run_thread(void)
{
	int i;

	for (i = 0; i < 100 && cm_thread_step(0); i++)
		;
}

static void step(struct world *w, struct input *in)
{
	int *peer;

	switch (byte(in)) {
	case 'c':
		return take_peer(w, call(number(in)));
	case 'm':
		return say(w, in);
	case 'b':
		return babble(w, in);
	case 'x':
		peer = &w->peers[number(in) % MAX_PEERS];
		if (*peer >= 0)
			close(*peer);
		*peer = -1;
		return;
	case 'a':
		return ask(w, in);
	case 'd':
		return act(w, in);
	case 'e':
		return get_event(w, in);
	case 'r':
		return run_thread();
	case 'f':
		return give(in);
	case 'n':
		return litter(in);
	default:
		return;
	}
}

/* ---- one run ---- */

static void start(void)
{
	struct scratch *scratch = scratch_get();
	struct ibv_context **list;

	scratch_reset(scratch);
	setenv("SOFTVERBS_DIR", scratch->fabric, 1);
	sv = softverbs_open(NULL);
	if (!sv || softverbs_add_device(sv, "soft0", 0, 1, 0))
		scratch_fail("no fabric");
	list = rdma_get_devices(NULL);
	if (!list)
		scratch_fail("no device");
	rdma_free_devices(list);
	if (cm_port_dir(sv, true) < 0) /* stays open */
		scratch_fail("no directory");
}

static struct rdma_cm_id *listen_on(struct world *w, enum rdma_port_space ps)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htobe16(OUR_PORT),
				  .sin_addr.s_addr = htobe32(0x7f000001) };
	struct rdma_cm_id *id;

	if (rdma_create_id(w->channel, &id, NULL, ps) ||
	    rdma_bind_addr(id, (struct sockaddr *)&at) || rdma_listen(id, 4))
		scratch_fail("no listener");
	return id;
}

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	memset(w->peers, -1, sizeof(w->peers));
	w->theirs = listen_as_peer();
	w->channel = rdma_create_event_channel();
	fcntl(w->channel->fd, F_SETFL, O_NONBLOCK);
	w->ids[0] = listen_on(w, RDMA_PS_TCP);
	w->ids[1] = listen_on(w, RDMA_PS_UDP);
}

/* the listeners go first: with them what nobody looked at */
static void end(struct world *w)
{
	int i;

	for (i = 0; i < MAX_IDS; i++)
		if (w->ids[i])
			destroy(&w->ids[i]);
	for (i = 0; i < MAX_PEERS; i++)
		if (w->peers[i] >= 0)
			close(w->peers[i]);
	close(w->theirs);
	rdma_destroy_event_channel(w->channel);
}

static void run(struct input *in)
{
	struct world w;
	int i;

	begin(&w);
	for (i = 0; i < MAX_STEPS && in->size; i++)
		step(&w, in);
	end(&w);
}

/* the threads of the verbs close theirs in their own time */
static void check_fds(int fds)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int i;

	for (i = 0; i < 5000 && scratch_count_fds() > fds; i++)
		nanosleep(&pause, NULL);
	if (scratch_count_fds() > fds)
		scratch_fail("descriptors are left");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* so that what the first QPs open for good is there */
	static const char text[] = "a1eem0100rec1m1600re1r";
	struct input first = { (const uint8_t *)text, sizeof(text) - 1 };
	struct input in = { data, size };
	int fds;

	if (!sv) {
		start();
		run(&first);
	}
	/* anew: libFuzzer opens pipes when it begins to name functions */
	fds = scratch_count_fds();
	run(&in);
	check_fds(fds);
	return 0;
}

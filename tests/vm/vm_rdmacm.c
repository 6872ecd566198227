// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/*
 * vm_rdmacm ADDRESS ORDERS: a program whose context is librdmacm's, with the real
 * librdmacm. An id is bound to ADDRESS; its device is a device of a registry that
 * opens none itself, and has data, a PD, that the program holds. When the device goes the
 * id is destroyed. Prints a line of JSON for what happens, as ibc_monitor does, and
 * does what it reads from the FIFO ORDERS, a word a line, saying so when that is
 * done:
 *
 *	adopt    the id's device becomes one of the registry
 *	use      a verb on the context
 *	release  ibc_release_rdmacm_devices()
 *	put      lets go of the data
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <infiniband/ibclient_rdmacm.h>

struct pd_data {
	struct ibc_client_data base;
	struct ibv_pd *pd;
};

static struct rdma_event_channel *channel;
static struct ibc_client_data *held;
static struct ibc_registry *reg;
static struct ibc_client client;
static struct rdma_cm_id *id;
static struct ibv_context *context;
static dev_t node;
static __be64 guid;
static char device[64];

static void say(const char *event, int error)
{
	printf("{\"event\": \"%s\", \"device\": \"%s\", \"error\": \"%d\"}\n",
	       event, device, error);
	fflush(stdout);
}

static void fail(const char *what)
{
	fprintf(stderr, "vm_rdmacm: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the client ---- */

static int add(struct ibc_client *c, struct ibc_device *dev)
{
	held = ibc_alloc_or_get_client_data(dev, c);
	say("add", held ? 0 : errno);
	return 0;
}

static void removed(struct ibc_client *c, struct ibc_device *dev,
		    struct ibc_client_data *data)
{
	(void)c;
	(void)dev;
	(void)data;
	say("remove", 0);
}

static void gone(struct ibc_client *c, struct ibc_device *dev)
{
	(void)c;
	(void)dev;
	say("gone", 0);
}

static struct ibc_client_data *alloc(struct ibc_client *c,
				     struct ibc_device *dev)
{
	struct pd_data *data = calloc(1, sizeof(*data));

	(void)c;
	if (data)
		data->pd = ibv_alloc_pd(ibc_device_context(dev));
	return data ? &data->base : NULL;
}

static void free_data(struct ibc_client_data *base)
{
	struct pd_data *data = (struct pd_data *)base;

	say("free", data->pd ? ibv_dealloc_pd(data->pd) : 0);
	free(data);
}

static void start_client(void)
{
	const struct ibc_registry_attr attr = { .flags = IBC_REGISTRY_NO_OPEN };

	reg = ibc_open(&attr);
	if (!reg)
		fail("ibc_open");
	client.name = "vm_rdmacm";
	client.add = add;
	client.remove = removed;
	client.gone = gone;
	client.alloc_client_data = alloc;
	client.free_client_data = free_data;
	errno = ibc_register_client(reg, &client);
	if (errno)
		fail("ibc_register_client");
}

/* ---- what it is told ---- */

static void adopt(void)
{
	struct ibc_device *dev =
		id ? ibc_get_rdmacm_device(reg, id, IBC_ADOPT_READ_EVENTS) :
		     NULL;

	say("adopt", dev ? 0 : errno);
	if (dev)
		ibc_put_device(dev);
}

/*
 * Memory and descriptor of a context that was closed are the next one's at once: it
 * answers, and is another device.
 */
static void use(void)
{
	struct ibv_device_attr attr;
	struct stat now;
	int error = ibv_query_device(context, &attr);

	if (!error && fstat(context->cmd_fd, &now))
		error = errno;
	if (!error && (now.st_rdev != node || attr.node_guid != guid))
		error = ESTALE;
	say("use", error);
}

static void put(void)
{
	if (held)
		ibc_put_client_data(held);
	held = NULL;
	say("put", 0);
}

static void obey(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "adopt") == 0)
		adopt();
	else if (strcmp(line, "use") == 0)
		use();
	else if (strcmp(line, "put") == 0)
		put();
	else if (strcmp(line, "release") == 0)
		say("release", ibc_release_rdmacm_devices(reg));
}

/* ---- the id ---- */

static void bind_id(const char *address)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct stat file;

	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		fail(address);
	channel = rdma_create_event_channel();
	if (!channel || rdma_create_id(channel, &id, NULL, RDMA_PS_TCP) ||
	    rdma_bind_addr(id, (struct sockaddr *)&sin) || !id->verbs)
		fail("no id on a device");
	context = id->verbs;
	snprintf(device, sizeof(device), "%s",
		 ibv_get_device_name(context->device));
	if (fstat(context->cmd_fd, &file))
		fail("fstat");
	node = file.st_rdev;
	guid = ibv_get_device_guid(context->device);
	say("bound", 0);
}

static void read_channel(void)
{
	struct rdma_cm_event *event;
	bool removal;

	if (rdma_get_cm_event(channel, &event))
		fail("rdma_get_cm_event");
	removal = event->event == RDMA_CM_EVENT_DEVICE_REMOVAL;
	say(rdma_event_str(event->event), ibc_report_rdmacm_event(reg, event));
	rdma_ack_cm_event(event);
	if (!removal || !id)
		return;
	rdma_destroy_id(id);
	id = NULL;
	say("destroyed", 0);
}

int main(int argc, char **argv)
{
	struct pollfd fds[2] = {};
	char line[64];
	FILE *orders;

	if (argc != 3)
		return 2;
	orders = fopen(argv[2], "r");
	if (!orders)
		fail(argv[2]);
	setvbuf(orders, NULL, _IONBF, 0);
	start_client();
	bind_id(argv[1]);
	fds[0] = (struct pollfd){ .fd = fileno(orders), .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = channel->fd, .events = POLLIN };
	while (poll(fds, 2, -1) > 0) {
		if (fds[1].revents)
			read_channel();
		if (!fds[0].revents)
			continue;
		if (!fgets(line, sizeof(line), orders))
			break;
		obey(line);
	}
	put();
	if (id)
		rdma_destroy_id(id);
	ibc_unregister_client(&client);
	rdma_destroy_event_channel(channel);
	return ibc_close(reg) != 0;
}

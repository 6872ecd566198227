// SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB
/* Guarantees 15 to 17 for event handlers: whose events, and when. */
#include "ear.h"

/* ---- 15: whose events ---- */

static void g15_a_handler_of_the_device_hears_all(void **state)
{
	(void)state;
	ear_begin();
	listen_device(&ear, 0);
	listen_to(&ear2,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE,
					     .type_mask = BIT(QP_FATAL) });
	ear_send(IBV_EVENT_GID_CHANGE, 1);
	assert_int_equal(ear.type, IBV_EVENT_GID_CHANGE);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(ear.num, qp->qp_num);
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(heard(&ear2), 1);
	deaf(&ear);
	ear_send(IBV_EVENT_GID_CHANGE, 1);
	assert_int_equal(heard(&ear), 2);
	deaf(&ear2);
	ear_end();
}

static void g15_a_handler_of_a_port_hears_that_port(void **state)
{
	(void)state;
	ear_begin();
	listen_to(&ear, (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
						   .port_num = 2 });
	listen_to(&ear2,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
					     .type_mask = BIT(LID_CHANGE) });
	ear_send(IBV_EVENT_LID_CHANGE, 1);
	ear_send(IBV_EVENT_LID_CHANGE, 2);
	ear_send(IBV_EVENT_SM_CHANGE, 2);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(ear.type, IBV_EVENT_SM_CHANGE);
	assert_int_equal(heard(&ear2), 2);
	deaf(&ear);
	deaf(&ear2);
	ear_end();
}

static void g15_a_handler_of_an_object_hears_that_object(void **state)
{
	(void)state;
	ear_begin();
	listen_qp(&ear, qp, 0);
	listen_qp(&ear2, qp2, BIT(SQ_DRAINED));
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	ear_send(IBV_EVENT_COMM_EST, (uintptr_t)qp2);
	ear_send(IBV_EVENT_SQ_DRAINED, (uintptr_t)qp2);
	ear_send(IBV_EVENT_LID_CHANGE, 1);
	assert_int_equal(heard(&ear), 1);
	assert_int_equal(ear.num, qp->qp_num);
	assert_int_equal(heard(&ear2), 1);
	assert_int_equal(ear2.type, IBV_EVENT_SQ_DRAINED);
	deaf(&ear);
	deaf(&ear2);
	ear_end();
}

/* the fakes need no more of an object than its address */
static void g15_each_kind_of_object(void **state)
{
	static struct ibv_cq cq;
	static struct ibv_srq srq;
	static struct ibv_wq wq;
	struct ear ears[3] = {};

	(void)state;
	ear_begin();
	listen_to(&ears[0], (struct ibc_event_filter){ .scope = IBC_SCOPE_CQ,
						       .cq = &cq });
	listen_to(&ears[1], (struct ibc_event_filter){ .scope = IBC_SCOPE_SRQ,
						       .srq = &srq });
	listen_to(&ears[2], (struct ibc_event_filter){ .scope = IBC_SCOPE_WQ,
						       .wq = &wq });
	ear_send(IBV_EVENT_CQ_ERR, (uintptr_t)&cq);
	ear_send(IBV_EVENT_SRQ_LIMIT_REACHED, (uintptr_t)&srq);
	ear_send(IBV_EVENT_WQ_FATAL, (uintptr_t)&wq);
	assert_int_equal(ears[0].type, IBV_EVENT_CQ_ERR);
	assert_int_equal(ears[1].type, IBV_EVENT_SRQ_LIMIT_REACHED);
	assert_int_equal(ears[2].type, IBV_EVENT_WQ_FATAL);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(heard(&ears[i]), 1);
		deaf(&ears[i]);
	}
	ear_end();
}

static void wrong(struct ibc_event_filter filter)
{
	check_null(ibc_register_event_handler(dev, &filter, hear, NULL),
		   EINVAL);
}

static void g15_a_wrong_filter_is_einval(void **state)
{
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_DEVICE };

	(void)state;
	ear_begin();
	wrong((struct ibc_event_filter){ .comp_mask = 1 });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_WQ + 1 });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_QP });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_CQ });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_SRQ });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_WQ });
	wrong((struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
					 .port_num = 256 });
	wrong((struct ibc_event_filter){
		.scope = IBC_SCOPE_QP, .qp = qp, .type_mask = BIT(CQ_ERR) });
	check_null(ibc_register_event_handler(NULL, &filter, hear, NULL),
		   EINVAL);
	check_null(ibc_register_event_handler(dev, NULL, hear, NULL), EINVAL);
	check_null(ibc_register_event_handler(dev, &filter, NULL, NULL),
		   EINVAL);
	assert_int_equal(ibc_unregister_event_handler(NULL), EINVAL);
	ear_end();
}

static void destroy_own(struct ear *e, struct ibc_device *d,
			const struct ibc_event *event)
{
	(void)d;
	fake_destroy_qp(event->async.element.qp);
	qp = NULL;
	e->result = ibc_unregister_event_handler(e->handler);
}

static void g15_a_handler_may_destroy_its_object(void **state)
{
	(void)state;
	ear_begin();
	ear.hook = destroy_own;
	listen_qp(&ear, qp, 0);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_null(qp);
	assert_int_equal(ear.result, 0);
	assert_int_equal(heard(&ear), 1);
	ear_end();
}

/* a later handler for the same address does not hear of the earlier object */
static void g15_events_are_for_the_handlers_of_their_time(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_QP_FATAL };

	(void)state;
	ear_begin();
	event.element.qp = qp;
	listen_qp(&ear, qp, 0);
	assert_int_equal(ibc_report_event(dev, &event), 0);
	if (h_mode == H_MANUAL) { /* it waits: nobody dispatches */
		listen_qp(&ear2, qp, 0);
		assert_int_equal(ibc_report_event(dev, &event), 0);
		h_fence();
		assert_int_equal(heard(&ear), 2); /* and it is not merged */
		assert_int_equal(heard(&ear2), 1);
		deaf(&ear2);
	}
	deaf(&ear);
	ear_end();
}

/*
 * Once an event is acknowledged its object may be destroyed, and another one be
 * made at its address: this is called just before.
 */
static void replace_handler(void *arg)
{
	(void)arg;
	if (!ear.handler)
		return;
	check(ibc_unregister_event_handler(ear.handler) == 0);
	ear.handler = NULL;
	listen_qp(&ear2, qp, 0);
}

static void g15_not_for_who_comes_to_the_same_address(void **state)
{
	(void)state;
	ear_begin();
	listen_qp(&ear, qp, 0);
	fake_on(FAKE_ACK, replace_handler, NULL);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	fake_on(FAKE_ACK, NULL, NULL);
	assert_int_equal(heard(&ear), 0);
	assert_int_equal(heard(&ear2), 0);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(heard(&ear2), 1);
	deaf(&ear2);
	ear_end();
}

static void g15_handlers_of_adopted_contexts(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_QP_FATAL };
	struct ibc_event_filter filter = { .scope = IBC_SCOPE_QP };
	struct ibv_context *other;
	struct ibc_device *adopted;
	struct ibv_qp *theirs;

	(void)state;
	ear_begin();
	other = fake_open("soft0");
	adopted = ibc_adopt_context(h_reg, other, 0);
	theirs = fake_make_qp(other, NULL);
	filter.qp = theirs;
	check_null(ibc_register_event_handler(dev, &filter, hear, &ear),
		   EINVAL); /* of another context */
	ear.handler = ibc_register_event_handler(adopted, &filter, hear, &ear);
	assert_non_null(ear.handler);
	event.element.qp = theirs;
	assert_int_equal(ibc_report_event(adopted, &event), 0);
	wait_for(heard(&ear) == 1);
	assert_int_equal(ear.num, theirs->qp_num);
	deaf(&ear);
	fake_destroy_qp(theirs);
	h2_remove(adopted);
	fake_close(other);
	ear_end();
}

static void g15_while_draining_only_the_objects_handlers(void **state)
{
	struct ibc_client_data *data;

	(void)state;
	ear_begin();
	listen_qp(&ear, qp, 0);
	listen_device(&ear2, 0);
	data = ibc_alloc_or_get_client_data(dev, &a.client);
	ibc_remove_device(dev);
	wait_for(h2_is(dev, IBC_DEVICE_DRAINING));
	ear_send(IBV_EVENT_QP_LAST_WQE_REACHED, (uintptr_t)qp);
	ear_send(IBV_EVENT_QP_LAST_WQE_REACHED, (uintptr_t)qp2);
	ear_send(IBV_EVENT_LID_CHANGE, 1);
	wait_for(heard(&ear) == 1);
	assert_int_equal(ear.type, IBV_EVENT_QP_LAST_WQE_REACHED);
	assert_int_equal(heard(&ear2), 0);
	assert_int_equal(h_count(&a, H_EVENT), 0);
	check_null(ibc_register_event_handler(
			   dev, &(struct ibc_event_filter){ .scope = 0 }, hear,
			   NULL),
		   ENODEV);
	fake_destroy_qp(qp);
	fake_destroy_qp(qp2);
	qp = qp2 = NULL;
	ibc_put_client_data(data);
	wait_for(h2_is(dev, IBC_DEVICE_GONE)); /* handlers do not hold it */
	deaf(&ear);
	deaf(&ear2);
	ear_end();
}

#define SPEED_CHANGE 20 /* newer than the oldest header that will do */

/* IBV_EVENT_DEVICE_SPEED_CHANGE is of the device, whatever is in its element */
static void g15_device_speed_change_is_of_the_device(void **state)
{
	struct ibv_async_event event = { .event_type = SPEED_CHANGE };
	struct ear third = {};

	(void)state;
	ear_begin();
	listen_device(&ear, 1ULL << SPEED_CHANGE);
	listen_to(&ear2, (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT });
	listen_qp(&third, qp, 0);
	ear_send(SPEED_CHANGE, 7);
	assert_int_equal(heard(&ear), 1);
	assert_int_equal(ear.num, 0);
	assert_int_equal(ibc_report_event(dev, &event), 0);
	h_fence();
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(heard(&ear2), 0);
	assert_int_equal(heard(&third), 0);
	deaf(&ear);
	deaf(&ear2);
	deaf(&third);
	ear_end();
}

/* ---- 16, 17 ---- */

static void note_clients(struct ear *e, struct ibc_device *d,
			 const struct ibc_event *event)
{
	(void)d;
	(void)event;
	e->result = h_count(&a, H_EVENT);
}

static void g16_clients_first_then_handlers_in_order(void **state)
{
	struct ear third = { .hook = note_clients };

	(void)state;
	ear_begin();
	ear.hook = note_clients;
	listen_qp(&third, qp, 0);
	listen_device(&ear, 0);
	listen_device(&ear2, 0);
	ear_send(IBV_EVENT_QP_FATAL, (uintptr_t)qp);
	assert_int_equal(h_count(&a, H_EVENT), 1);
	assert_int_equal(ear.result, 1);
	assert_int_equal(third.result, 1);
	assert_true(ear.at < ear2.at);
	assert_true(ear2.at < third.at);
	deaf(&ear);
	deaf(&ear2);
	deaf(&third);
	ear_end();
}

/* what one handler heard, in order */
static struct {
	int type;
	uint32_t count;
} story[8];

static void write_down(struct ear *e, struct ibc_device *d,
		       const struct ibc_event *event)
{
	unsigned int n = heard(e) - 1;

	(void)d;
	check(n < 8);
	story[n].type = event->async.event_type;
	story[n].count = event->count;
}

static void report_state(enum ibv_event_type type, unsigned int times)
{
	struct ibv_async_event event = { .event_type = type,
					 .element.port_num = 1 };

	while (times--)
		assert_int_equal(ibc_report_event(dev, &event), 0);
}

static void g16_a_handler_hears_states_in_their_order(void **state)
{
	static const int types[] = { IBV_EVENT_PORT_ERR, IBV_EVENT_PORT_ACTIVE,
				     IBV_EVENT_PORT_ERR,
				     IBV_EVENT_PORT_ACTIVE };
	static const unsigned int counts[] = { 2, 3, 1, 4 };
	int i;

	(void)state;
	ear_begin();
	memset(story, 0, sizeof(story));
	ear.hook = write_down;
	listen_to(&ear, (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
						   .port_num = 1 });
	for (i = 0; i < 4; i++)
		report_state(types[i], counts[i]);
	h_fence();
	assert_int_equal(heard(&ear), 4);
	for (i = 0; i < 4; i++) {
		assert_int_equal(story[i].type, types[i]);
		assert_int_equal(story[i].count, counts[i]);
	}
	deaf(&ear);
	ear_end();
}

static void g17_port_state_is_replayed_once(void **state)
{
	struct ear third = {}, fourth = {};

	(void)state;
	ear_begin();
	ear_send(IBV_EVENT_PORT_ACTIVE, 2);
	ear_send(IBV_EVENT_PORT_ERR, 2);
	listen_to(&ear, (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
						   .port_num = 2 });
	listen_to(&ear2, (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
						    .port_num = 1 });
	listen_to(&third,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_DEVICE,
					     .type_mask = BIT(PORT_ACTIVE) });
	listen_qp(&fourth, qp, 0);
	wait_for(heard(&ear) == 1);
	h_fence();
	assert_int_equal(ear.type, IBV_EVENT_PORT_ERR);
	assert_int_equal(ear.flags, IBC_EVENT_REPLAYED);
	assert_int_equal(ear.num, 2);
	assert_int_equal(heard(&ear2), 0);
	assert_int_equal(heard(&third), 0);
	assert_int_equal(heard(&fourth), 0);
	ear_send(IBV_EVENT_PORT_ACTIVE, 2);
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(ear.flags, 0);
	assert_int_equal(heard(&third), 1);
	deaf(&ear);
	deaf(&ear2);
	deaf(&third);
	deaf(&fourth);
	ear_end();
}

/* what happened before it came, then what waits: the last told is the last */
static void g17_replayed_before_what_waits(void **state)
{
	struct ibv_async_event event = { .event_type = IBV_EVENT_PORT_ACTIVE,
					 .element.port_num = 1 };

	(void)state;
	ear_begin();
	ear_send(IBV_EVENT_PORT_ERR, 1);
	assert_int_equal(ibc_report_event(dev, &event), 0);
	listen_device(&ear, 0);
	h_fence();
	assert_int_equal(heard(&ear), 2);
	assert_int_equal(ear.type, IBV_EVENT_PORT_ACTIVE);
	assert_int_equal(ear.flags, 0);
	deaf(&ear);
	ear_end();
}

/* another event waits, and a second handler comes */
static void another_and_a_listener(struct ear *e, struct ibc_device *d,
				   const struct ibc_event *event)
{
	struct ibv_async_event next = { .event_type = IBV_EVENT_PORT_ACTIVE,
					.element.port_num = 1 };

	(void)event;
	if (e->heard > 1)
		return;
	e->result = ibc_report_event(d, &next);
	listen_device(&ear2, 0);
}

/* so does who comes while one is told, and the next one waits already */
static void g17_replayed_between_two(void **state)
{
	(void)state;
	ear_begin();
	listen_device(&ear, 0);
	ear.hook = another_and_a_listener;
	ear_send(IBV_EVENT_PORT_ERR, 1);
	wait_for(heard(&ear) == 2);
	h_fence();
	assert_int_equal(ear.result, 0);
	assert_int_equal(heard(&ear2), 2);
	assert_int_equal(ear2.type, IBV_EVENT_PORT_ACTIVE);
	assert_int_equal(ear2.flags, 0);
	deaf(&ear);
	deaf(&ear2);
	ear_end();
}

static void g17_any_scope_may_ask_for_device_fatal(void **state)
{
	struct ear third = {}, fourth = {};

	(void)state;
	ear_begin();
	listen_to(&third,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT,
					     .port_num = 2,
					     .type_mask = BIT(DEVICE_FATAL) });
	listen_to(&fourth,
		  (struct ibc_event_filter){ .scope = IBC_SCOPE_PORT });
	listen_qp(&ear, qp, BIT(DEVICE_FATAL));
	listen_qp(&ear2, qp, 0);
	fake_destroy_qp(qp2);
	qp2 = NULL;
	fake_context_event(context, IBV_EVENT_DEVICE_FATAL, 0);
	wait_for(h_count(&a, H_REMOVE) == 1);
	assert_int_equal(heard(&ear), 1);
	assert_int_equal(heard(&ear2), 0);
	assert_int_equal(heard(&third), 1);
	assert_int_equal(heard(&fourth), 0);
	wait_for(h2_is(dev, IBC_DEVICE_GONE));
	deaf(&ear);
	deaf(&ear2);
	deaf(&third);
	deaf(&fourth);
	ear_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ALL(g15_a_handler_of_the_device_hears_all),
		IN_ALL(g15_a_handler_of_a_port_hears_that_port),
		IN_ALL(g15_a_handler_of_an_object_hears_that_object),
		ON_FAKE(IN_ALL, g15_each_kind_of_object),
		IN_ALL(g15_a_wrong_filter_is_einval),
		IN_ALL(g15_a_handler_may_destroy_its_object),
		IN_ALL(g15_events_are_for_the_handlers_of_their_time),
		IN_ALL(g15_not_for_who_comes_to_the_same_address),
		IN_ALL(g15_handlers_of_adopted_contexts),
		IN_ALL(g15_while_draining_only_the_objects_handlers),
		IN_ALL(g15_device_speed_change_is_of_the_device),
		IN_ALL(g16_clients_first_then_handlers_in_order),
		IN_MANUAL(g16_a_handler_hears_states_in_their_order),
		IN_ALL(g17_port_state_is_replayed_once),
		IN_MANUAL(g17_replayed_before_what_waits),
		IN_MANUAL(g17_replayed_between_two),
		ON_FAKE(IN_ALL, g17_any_scope_may_ask_for_device_fatal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

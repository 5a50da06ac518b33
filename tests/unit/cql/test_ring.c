/* Replica placement, with rings that are small enough to check by hand. */
#include "cql/ring.h"
#include "support.h"

static void build(cm_cql_ring_t *ring, const int *owners, int count)
{
    for (int i = count - 1; i >= 0; i--) /* token 10, 20, ...; not in order */
        cm_cql_ring_add(ring, 10 * (i + 1), owners[i]);
    cm_cql_ring_sort(ring);
}

static void check_replicas(const cm_cql_replicas_t *replicas, size_t place, int width,
                           const int *expected)
{
    assert_int_equal(width, replicas->width);
    for (int i = 0; i < width; i++)
        assert_int_equal(expected[i], replicas->nodes[place * (size_t)width + (size_t)i]);
}

static void test_find(void **state)
{
    static const int owners[] = {0, 1, 2};
    cm_cql_ring_t ring = {0};

    (void)state;
    build(&ring, owners, 3);
    assert_int_equal(0, cm_cql_ring_find(&ring, INT64_MIN));
    assert_int_equal(0, cm_cql_ring_find(&ring, 10));
    assert_int_equal(1, cm_cql_ring_find(&ring, 11));
    assert_int_equal(2, cm_cql_ring_find(&ring, 30));
    assert_int_equal(0, cm_cql_ring_find(&ring, 31));
    assert_int_equal(0, cm_cql_ring_find(&ring, INT64_MAX));
    cm_cql_ring_free(&ring);
}

static void test_simple(void **state)
{
    static const int owners[] = {0, 1, 0, 2, 1, 0};
    static const int expected[6][2] = {{0, 1}, {1, 0}, {0, 2}, {2, 1}, {1, 0}, {0, 1}};
    cm_cql_ring_node_t nodes[3] = {0};
    cm_cql_ring_t ring = {0};
    cm_cql_replication_t two = {0}, many = {0};
    cm_cql_replicas_t replicas;

    (void)state;
    build(&ring, owners, 6);
    cm_cql_replication_add(&two, CM_STR("class"),
                           CM_STR("org.apache.cassandra.locator.SimpleStrategy"));
    cm_cql_replication_add(&two, CM_STR("replication_factor"), CM_STR("2"));
    cm_cql_replicas_build(&ring, nodes, 3, &two, &replicas);
    for (size_t i = 0; i < 6; i++)
        check_replicas(&replicas, i, 2, expected[i]);
    cm_cql_replicas_free(&replicas);
    cm_cql_replication_add(&many, CM_STR("class"), CM_STR("SimpleStrategy"));
    cm_cql_replication_add(&many, CM_STR("replication_factor"), CM_STR("5"));
    cm_cql_replicas_build(&ring, nodes, 3, &many, &replicas);
    check_replicas(&replicas, 3, 3, (const int[]){2, 1, 0});
    cm_cql_replicas_free(&replicas);
    cm_cql_ring_free(&ring);
}

/* Two data centres. In "east" nodes 0 and 1 share a rack: with two replicas and two racks, each
 * rack gets one; with three, node 1 may share the rack. */
static void test_network(void **state)
{
    static const int owners[] = {0, 1, 2, 3, 4};
    cm_cql_ring_node_t nodes[] = {
        {CM_STR("east"), CM_STR("r1")}, {CM_STR("east"), CM_STR("r1")},
        {CM_STR("east"), CM_STR("r2")}, {CM_STR("west"), CM_STR("r1")},
        {CM_STR("west"), CM_STR("r1")},
    };
    cm_cql_ring_t ring = {0};
    cm_cql_replication_t r = {0}, three = {0};
    cm_cql_replicas_t replicas;

    (void)state;
    build(&ring, owners, 5);
    cm_cql_replication_add(&r, CM_STR("class"),
                           CM_STR("org.apache.cassandra.locator.NetworkTopologyStrategy"));
    cm_cql_replication_add(&r, CM_STR("east"), CM_STR("2"));
    cm_cql_replication_add(&r, CM_STR("west"), CM_STR("1"));
    cm_cql_replicas_build(&ring, nodes, 5, &r, &replicas);
    check_replicas(&replicas, 0, 3, (const int[]){0, 2, 3}); /* not 1: the same rack as 0 */
    check_replicas(&replicas, 1, 3, (const int[]){1, 2, 3});
    check_replicas(&replicas, 2, 3, (const int[]){2, 3, 0});
    check_replicas(&replicas, 3, 3, (const int[]){3, 0, 2});
    check_replicas(&replicas, 4, 3, (const int[]){4, 0, 2});
    cm_cql_replicas_free(&replicas);

    cm_cql_replication_add(&three, CM_STR("class"), CM_STR("NetworkTopologyStrategy"));
    cm_cql_replication_add(&three, CM_STR("east"), CM_STR("3/1"));
    cm_cql_replication_add(&three, CM_STR("west"), CM_STR("9"));
    cm_cql_replication_add(&three, CM_STR("north"), CM_STR("2"));
    cm_cql_replicas_build(&ring, nodes, 5, &three, &replicas);
    check_replicas(&replicas, 0, 5, (const int[]){0, 1, 2, 3, 4});
    check_replicas(&replicas, 3, 5, (const int[]){3, 4, 0, 1, 2});
    cm_cql_replicas_free(&replicas);
    cm_cql_ring_free(&ring);
}

static void test_unknown(void **state)
{
    static const int owners[] = {0, 1};
    cm_cql_ring_node_t nodes[2] = {0};
    cm_cql_ring_t ring = {0}, none = {0};
    cm_cql_replication_t local = {0}, strange = {0}, simple = {0};
    cm_cql_replicas_t replicas;

    (void)state;
    build(&ring, owners, 2);
    cm_cql_replication_add(&local, CM_STR("class"),
                           CM_STR("org.apache.cassandra.locator.LocalStrategy"));
    cm_cql_replicas_build(&ring, nodes, 2, &local, &replicas);
    assert_int_equal(0, replicas.width);
    cm_cql_replication_add(&strange, CM_STR("class"), CM_STR("SimpleStrategy"));
    cm_cql_replication_add(&strange, CM_STR("replication_factor"), CM_STR("several"));
    cm_cql_replicas_build(&ring, nodes, 2, &strange, &replicas);
    assert_int_equal(0, replicas.width);
    cm_cql_replication_add(&simple, CM_STR("class"), CM_STR("SimpleStrategy"));
    cm_cql_replication_add(&simple, CM_STR("replication_factor"), CM_STR("1"));
    cm_cql_replicas_build(&none, nodes, 2, &simple, &replicas);
    assert_int_equal(0, replicas.width);
    cm_cql_ring_free(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_simple),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

def test_what_a_daemon_changes(netns_pair):
    left = netns_pair.left
    before = left.snapshot()
    left.run(["ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.2"], check=True)
    after = left.snapshot()
    print(after.since(before))
    (change,) = after.since(before)
    assert (change.part, change.before) == ("routes", None)
    assert change.after.gateway == "192.0.2.2"

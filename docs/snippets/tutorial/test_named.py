def test_named(make_netns):
    ns = make_netns(name="tutorial")
    command = ["ip", "netns", "exec", ns.name, "ip", "-brief", "address"]
    shown = ns.run(command, capture_output=True, text=True, check=True).stdout
    print(shown)
    assert "127.0.0.1/8" in shown

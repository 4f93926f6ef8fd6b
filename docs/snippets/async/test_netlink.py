async def test_netlink(netns):
    async with netns.async_iproute() as ipr:
        links = [link.get("ifname") async for link in await ipr.get_links()]
    assert "lo" in links

import socket


def pytest_configure(config):
    if hasattr(config, "workerinput"):
        config.connection = socket.create_connection(("127.0.0.1", config.workerinput["port"]))
    else:
        config.server = socket.create_server(("127.0.0.1", 0))


class Nodes:
    def pytest_configure_node(self, node):
        node.workerinput["port"] = node.config.server.getsockname()[1]


def pytest_unconfigure(config):
    if hasattr(config, "workerinput"):
        config.connection.close()
    else:
        config.server.close()


def pytest_plugin_registered(plugin, manager):
    if type(plugin).__name__ == "DSession":
        manager.register(Nodes())

"""Why a test failed, as far as the network knows."""

"""The command line. Its entry point is `mixtura.cli.main.main`."""

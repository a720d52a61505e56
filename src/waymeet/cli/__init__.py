"""The `waymeet` command. What it prints is for people; `waymeet.client` is for programs."""


def main() -> None:
    """Run the command line. Imports the commands here, so that importing the package costs nothing."""
    from waymeet.cli.app import app

    app()

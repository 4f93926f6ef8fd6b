import nox


@nox.session
def tests(session: nox.Session) -> None:
    session.install("pytest-netns", "pytest-xdist")
    session.run("pytest", "-n", "2", "--netns-strict", *session.posargs)

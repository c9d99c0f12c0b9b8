"""The one error a user is meant to read."""


class UserError(Exception):
    """A mistake the user can mend: one line that names the file, the cause and the remedy.

    The command line prints it without a stack trace and exits with status 2.
    """

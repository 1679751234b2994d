"""One file a command: parse the options, call one function, print."""

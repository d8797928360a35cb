"""The clients that people use today, each as a script of its own. See `bench_peers`."""

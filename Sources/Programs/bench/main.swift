import Benchmarks

#if canImport(Glibc)
    import Glibc
#endif

exit(await BenchmarkRun.run(arguments: Array(CommandLine.arguments.dropFirst())))

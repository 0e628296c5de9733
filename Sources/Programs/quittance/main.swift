import OperatorCommands

#if canImport(Glibc)
    import Glibc
#endif

exit(await OperatorProgram.main(Array(CommandLine.arguments.dropFirst())))

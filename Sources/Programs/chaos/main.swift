import Chaos

#if canImport(Glibc)
    import Glibc
#endif

let arguments = Array(CommandLine.arguments.dropFirst())
switch arguments.first {
case ChaosWorker.command: await ChaosWorker.run(arguments: Array(arguments.dropFirst()))
case ChaosProducer.command: await ChaosProducer.run(arguments: Array(arguments.dropFirst()))
default: exit(await ChaosRun.run(arguments: arguments))
}

import CFuzzer
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

// fuzz <target> [options of libFuzzer] folder …     linked with libFuzzer, by deploy/fuzz
// fuzz <target> file …                              without it: each input once
let arguments = Array(CommandLine.arguments.dropFirst())
guard let name = arguments.first, let made = try await FuzzTargets.make(name) else {
    tell("usage: fuzz \(FuzzTargets.names.joined(separator: "|")) [option of libFuzzer …] [folder or file …]")
    exit(64)
}
ChosenTarget.shared.withLock { $0 = made }

guard quittance_fuzzer_is_linked() == 1 else {
    for path in arguments.dropFirst() { made.run(try InputFile.read(path)) }
    print("\(name): \(arguments.count - 1) inputs, no finding")
    exit(0)
}
var words: [UnsafeMutablePointer<CChar>?] = ([CommandLine.arguments[0]] + arguments.dropFirst()).map { strdup($0) } + [nil]
exit(
    quittance_fuzzer_run(Int32(words.count - 1), &words) { data, size in
        ChosenTarget.run(Array(UnsafeBufferPointer(start: data, count: size)))
        return 0
    })

/// The target, where a C function finds it.
enum ChosenTarget {
    static let shared = Mutex<(any FuzzTarget)?>(nil)

    static func run(_ input: [UInt8]) { shared.withLock { $0 }?.run(input) }
}

enum InputFile {
    static func read(_ path: String) throws -> [UInt8] {
        guard let stream = fopen(path, "r") else { finding("\(path) cannot be read") }
        defer { fclose(stream) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&piece, 1, piece.count, stream)
            if count == 0 { return bytes }
            bytes += piece[..<count]
        }
    }
}

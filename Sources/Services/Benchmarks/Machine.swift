#if canImport(Glibc)
    import Glibc
#endif

/// What is measured on, for the head of the tables: figures without their machine say nothing.
enum Machine {
    static var cores: Int { max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    static var description: String {
        let model = field("model name", in: "/proc/cpuinfo") ?? "unknown processor"
        let memory = field("MemTotal", in: "/proc/meminfo").flatMap { Double($0.prefix { $0 != " " }) } ?? 0
        var system = utsname()
        uname(&system)
        let release = withUnsafeBytes(of: system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return "\(model), \(cores) cores, \(Number.text(memory / 1024 / 1024)) GiB, Linux \(release)"
    }

    /// Mean number of processes that ran or wanted to, over the last minute.
    static var load: Double { file("/proc/loadavg").flatMap { Double($0.prefix { $0 != " " }) } ?? 0 }

    /// The memory of a process that is in RAM, in MB (2^20 bytes); nil when it is gone.
    static func residentMB(of process: Int32) -> Double? {
        field("VmRSS", in: "/proc/\(process)/status").flatMap { Double($0.prefix { $0 != " " }) }.map { $0 / 1024 }
    }

    /// What a process has had of the processors; nil when it is gone.
    static func processorSeconds(of process: Int32) -> Double? {
        // The second word is the program's name, which may hold anything but ends with the last parenthesis.
        guard let text = file("/proc/\(process)/stat"), let name = text.lastIndex(of: ")") else { return nil }
        let words = text[name...].split(separator: " ")
        guard words.count > 13, let user = Double(words[12]), let system = Double(words[13]) else { return nil }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The value of the first line `name: value`.
    private static func field(_ name: String, in path: String) -> String? {
        guard let text = file(path) else { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            return String(line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" })
        }
        return nil
    }

    static func file(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count <= 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Makes or replaces a file, readable by its owner only.
    static func write(_ bytes: [UInt8], to path: String) throws(BenchmarkError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw BenchmarkError("\(path) cannot be written: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), bytes.count - written) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw BenchmarkError("\(path) cannot be written: \(String(cString: strerror(errno)))") }
            written += count
        }
    }
}

/// A benchmark that could not be run. The sentence says what is to be done.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }

    /// Of a call that has just failed.
    static func system(_ call: String) -> BenchmarkError { BenchmarkError("\(call): \(String(cString: strerror(errno)))") }
}

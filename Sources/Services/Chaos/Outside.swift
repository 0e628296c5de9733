import Formats
import JobQueue

#if canImport(Glibc)
    import Glibc
#endif

/// The other side of the effects outside: a folder in which each call leaves a file under its key, which nobody can make twice. It answers
/// when it is asked, as a bank with idempotency keys does, and notes each second call.
struct Outside: Sendable {
    static let effect = "chaos.call"
    let folder: String

    /// The call, with time before and after it to be killed in.
    func call(_ key: String) async throws {
        try await Task.sleep(for: .milliseconds(15))
        let descriptor = open(path(key), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        if descriptor >= 0 {
            close(descriptor)
        } else {
            guard errno == EEXIST else { throw ChaosError.system(path(key)) }
            try TextFile.write(key + "\n", to: doubles, appending: true)
        }
        try await Task.sleep(for: .milliseconds(15))
    }

    func ask(_ key: String) -> EffectAnswer<NoResult> { access(path(key), F_OK) == 0 ? .happened(NoResult()) : .didNotHappen }

    /// Keys under which there was a call.
    func keys() throws(ChaosError) -> Set<String> {
        guard let names = FolderEntry.names(in: folder) else { throw .system(folder) }
        return Set(names.filter { !$0.hasPrefix(".") })
    }

    /// Second calls that the other side refused under the same key.
    var refused: Int { (TextFile.read(doubles) ?? "").split(separator: "\n").count }

    private func path(_ key: String) -> String { "\(folder)/\(key)" }
    private var doubles: String { folder + ".doubles" }
}

import Formats

#if canImport(Glibc)
    import Glibc
#endif

/// One process per slot: the outbox relay numbers its rows by slot, so two processes under one name would skip each other's.
/// The lock goes with the process, however it ends.
final class SlotLock: Sendable {
    private let descriptor: Int32

    /// - Throws: ``SlotError`` when another process has the slot.
    init(folder: String, program: String, slot: Int) throws(SlotError) {
        do throws(FileError) { try FolderPath.make(folder) } catch { throw SlotError(error.description) }
        let path = "\(folder)/\(program).\(slot).lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SlotError("\(path) cannot be opened: \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw SlotError("another \(program) runs in slot \(slot): give this one a SLOT of its own")
        }
    }

    deinit { close(descriptor) }
}

/// A slot that cannot be had. A retry helps once the other process has ended.
struct SlotError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

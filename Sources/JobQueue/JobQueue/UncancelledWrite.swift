/// Writes down what has happened already, whatever becomes of the job meanwhile: in a task that nobody cancels, and again after each pause
/// while the store is in trouble. The caller waits for it; so does a worker that stops.
///
/// It is for records of what was called or paid for outside, and short: what it holds up is a worker's end.
/// - Parameters:
///   - pauses: how long before the second write, the third, and so on; after the last of them the error is the caller's.
///   - isTransient: whether another write may help. By default every error is taken for trouble that passes.
///   - write: must do no harm when it is carried out twice: an answer may be lost where the write was not.
public func uncancelled<Value: Sendable>(
    pauses: [Duration], clock: JobClock = .system, isTransient: @escaping @Sendable (any Error) -> Bool = { _ in true },
    _ write: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    try await Task {
        for pause in pauses {
            do { return try await write() } catch { guard isTransient(error) else { throw error } }
            try await clock.sleep(pause)
        }
        return try await write()
    }.value
}

/// Starts that this process has under way: whoever asks for the same one meanwhile gets its outcome.
actor StartsUnderWay {
    private var tasks: [String: Task<AttemptStart.Started, any Error>] = [:]

    func start(
        _ key: String, _ start: @escaping @Sendable () async throws -> AttemptStart.Started
    ) async throws -> AttemptStart.Started {
        if let running = tasks[key] { return try await running.value }
        // A task of its own: several requests wait for it, and none of them may end it.
        let task = Task { try await start() }
        tasks[key] = task
        defer { tasks[key] = nil }
        return try await task.value
    }
}

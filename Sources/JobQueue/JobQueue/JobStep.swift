/// Where a handler has come to, for those who watch: a test that kills a worker at that very place.
package enum JobStep {
    @TaskLocal package static var observer: (@Sendable (_ step: String) async throws -> Void)?
}

extension JobContext {
    /// Says that the attempt has passed `step`, such as `charged`. Nothing happens in production; `JobQueueTestKit` can crash here.
    /// - Throws: only under a test that has ended.
    public func passed(_ step: String) async throws { try await JobStep.observer?(step) }
}

/// Code around every job of a service: what is to happen whatever the kind.
///
/// Each hook may be left out. Of several middlewares the first one listed is the outermost: it sees an attempt first and its outcome last.
///
/// ```swift
/// struct Timed: JobMiddleware {
///     func handleJob(context: JobContext, next: JobAttempt) async throws -> JobOutcome {
///         let began = ContinuousClock.now
///         defer { context.log.info("job took", ["ms": .int(Int64((ContinuousClock.now - began) / .milliseconds(1)))]) }
///         return try await next()
///     }
/// }
/// ```
public protocol JobMiddleware: Sendable {
    /// Before a job is put on its queue by ``JobService/push(_:options:)``. An error keeps it off.
    func onPushJob(_ job: JobEnvelope) async throws

    /// Before an attempt. An error ends the attempt as one of the handler would.
    func onPopJob(context: JobContext) async throws

    /// Around an attempt: reading the parameters, asking the guard, the handler. `next` may be called once, later, or not at all.
    func handleJob(context: JobContext, next: JobAttempt) async throws -> JobOutcome

    /// After an attempt, with what came of it; before the queue is told. An attempt whose worker is killed has no after.
    func onCompletedJob(context: JobContext, result: Result<JobOutcome, any Error>) async
}

/// What a middleware wraps.
public typealias JobAttempt = @Sendable () async throws -> JobOutcome

extension JobMiddleware {
    public func onPushJob(_ job: JobEnvelope) async throws {}
    public func onPopJob(context: JobContext) async throws {}
    public func handleJob(context: JobContext, next: JobAttempt) async throws -> JobOutcome { try await next() }
    public func onCompletedJob(context: JobContext, result: Result<JobOutcome, any Error>) async {}
}

extension JobMiddleware {
    /// One attempt with this middleware around `attempt`.
    func wrap(_ attempt: JobAttempt, _ context: JobContext) async throws -> JobOutcome {
        do {
            try await onPopJob(context: context)
            let outcome = try await handleJob(context: context, next: attempt)
            await onCompletedJob(context: context, result: .success(outcome))
            return outcome
        } catch {
            await onCompletedJob(context: context, result: .failure(error))
            throw error
        }
    }
}

extension JobHandler {
    /// The same handler with `middleware` around each attempt.
    func wrapped(in middleware: [any JobMiddleware]) -> JobHandler {
        guard !middleware.isEmpty else { return self }
        let inner = run
        return with { job, context in
            var attempt: JobAttempt = { try await inner(job, context) }
            for layer in middleware.reversed() {
                let next = attempt
                attempt = { try await layer.wrap(next, context) }
            }
            return try await attempt()
        }
    }
}

/// Lists middlewares one under the other, with `if` and `for` where they are wanted.
@resultBuilder
public enum JobMiddlewareBuilder {
    public static func buildExpression(_ middleware: any JobMiddleware) -> [any JobMiddleware] { [middleware] }
    public static func buildExpression(_ middleware: [any JobMiddleware]) -> [any JobMiddleware] { middleware }
    public static func buildBlock(_ parts: [any JobMiddleware]...) -> [any JobMiddleware] { parts.flatMap { $0 } }
    public static func buildOptional(_ part: [any JobMiddleware]?) -> [any JobMiddleware] { part ?? [] }
    public static func buildEither(first part: [any JobMiddleware]) -> [any JobMiddleware] { part }
    public static func buildEither(second part: [any JobMiddleware]) -> [any JobMiddleware] { part }
    public static func buildArray(_ parts: [[any JobMiddleware]]) -> [any JobMiddleware] { parts.flatMap { $0 } }
}

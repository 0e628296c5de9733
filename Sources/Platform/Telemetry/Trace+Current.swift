extension Trace {
    /// Where the work under way belongs: set around a request, an event or a job, and carried into the jobs that it causes.
    @TaskLocal public static var current: Trace?
}

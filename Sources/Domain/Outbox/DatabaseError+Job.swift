import Database
import JobQueue

/// A database in trouble is not the job's fault: it comes back later without an attempt being spent.
extension DatabaseError: JobErrorClassifying {
    public var jobDisposition: JobDisposition {
        if isTransient || isFull { return .snooze(.seconds(10)) }
        return isConstraint ? .bury : .retry(after: nil)
    }
}

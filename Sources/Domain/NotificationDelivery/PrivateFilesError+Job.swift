import JobQueue
import PrivateFiles

/// A file that is not there or may not be named comes back by no retry; a disk in trouble may recover.
extension PrivateFilesError: JobErrorClassifying {
    public var jobDisposition: JobDisposition { isTransient || isFull ? .retry(after: nil) : .bury }
}

/// What a folder takes on its disk.
public struct FolderSize: Sendable, Equatable {
    /// Blocks that are allocated, in bytes.
    public let bytes: Int64
    /// What could not be read.
    public let unreadable: Int
}

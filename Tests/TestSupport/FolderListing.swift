import Formats

extension TemporaryFolder {
    /// The names in a folder of this one, sorted; none when it is not there.
    public func list(_ name: String) -> [String] { FolderEntry.names(in: file(name)) ?? [] }
}

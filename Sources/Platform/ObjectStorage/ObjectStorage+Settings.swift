import HTTPClient
import PrivateFiles
import Settings

extension Settings {
    /// The storage that an installation keeps its files in, the same for every program.
    /// - Parameter client: carries the calls to a bucket. It needs no connections where files are kept locally.
    public func objectStorage(files: PrivateFiles, client: HTTPClient) -> any ObjectStorage {
        guard let s3 = storage.s3 else { return LocalStorage(files, freeMin: storage.freeMin) }
        return S3Storage(
            S3Storage.Bucket(
                endpoint: s3.endpoint, region: s3.region, name: s3.bucket, prefix: s3.prefix, isInHost: s3.isInHost, accessKey: s3.accessKey,
                secretKey: s3.secretKey), client: client, linkSeconds: storage.linkSeconds)
    }
}

enum StorageMeteringRoom {}

/**
 * The two cyclic redundancy checks of S3 that Node does not have, table-driven over bytes:
 * CRC-32C (RFC 3720) and CRC-64/NVME (NVM Express base specification).
 */

const CRC32C_POLYNOMIAL = 0x82f63b78;
/** Reflected, as upper and lower 32 bits: BigInt arithmetic would be slower by orders of magnitude. */
const CRC64NVME_POLYNOMIAL = { high: 0x9a6c9329, low: 0xac4bc9b5 };
const ALL_ONES = 0xffffffff;

const crc32cTable = makeCrc32cTable();
const crc64Table = makeCrc64Table();

export class Crc32c {
  #crc = ALL_ONES;

  update(bytes: Uint8Array): void {
    let crc = this.#crc;
    for (let at = 0; at < bytes.length; at += 1) {
      crc = crc32cTable[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
    }
    this.#crc = crc;
  }

  /** Big-endian, as S3 writes it in base64. */
  digest(): Buffer {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE((this.#crc ^ ALL_ONES) >>> 0);
    return bytes;
  }
}

export class Crc64Nvme {
  #high = ALL_ONES;
  #low = ALL_ONES;

  update(bytes: Uint8Array): void {
    let high = this.#high;
    let low = this.#low;
    for (let at = 0; at < bytes.length; at += 1) {
      const index = (low ^ bytes[at]!) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ crc64Table.low[index]!;
      high = (high >>> 8) ^ crc64Table.high[index]!;
    }
    this.#high = high;
    this.#low = low;
  }

  /** Big-endian, as S3 writes it in base64. */
  digest(): Buffer {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32BE((this.#high ^ ALL_ONES) >>> 0);
    bytes.writeUInt32BE((this.#low ^ ALL_ONES) >>> 0, 4);
    return bytes;
  }
}

function makeCrc32cTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit += 1) {
      value = (value & 1) === 1 ? (value >>> 1) ^ CRC32C_POLYNOMIAL : value >>> 1;
    }
    return value >>> 0;
  });
}

function makeCrc64Table(): { high: Uint32Array; low: Uint32Array } {
  const table = { high: new Uint32Array(256), low: new Uint32Array(256) };
  for (let index = 0; index < 256; index += 1) {
    let high = 0;
    let low = index;
    for (let bit = 0; bit < 8; bit += 1) {
      const odd = (low & 1) === 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (odd) {
        low ^= CRC64NVME_POLYNOMIAL.low;
        high ^= CRC64NVME_POLYNOMIAL.high;
      }
    }
    table.high[index] = high;
    table.low[index] = low;
  }
  return table;
}

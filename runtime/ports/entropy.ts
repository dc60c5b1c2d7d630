/** Unpredictable input, for identities and for seeding generators. The simulator's is a seeded sequence. */
export interface Entropy {
  bytes(count: number): Uint8Array
  /** A uniform 32-bit unsigned integer. */
  uint32(): number
}

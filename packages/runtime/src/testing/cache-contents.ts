import { copyHead, type HeadCopy } from "../cache/head-copy";
import type { Model } from "../model";
import type { Session } from "../session/session";

/** What a session's pages hold, by layer and KV head. */
export async function cacheContents(model: Model, session: Session): Promise<HeadCopy[][]> {
  const { backend, store } = model.engine;
  const contents: HeadCopy[][] = [];
  for (const layer of session.sequence.layers) {
    const heads: HeadCopy[] = [];
    for (const head of layer.lengths.keys()) heads.push(await copyHead(backend, layer, head, store.layout));
    contents.push(heads);
  }
  return contents;
}

/** The logits behind a session's newest token. */
export function newestLogits(model: Model, session: Session): Promise<Float32Array | Uint32Array> {
  return model.engine.backend.download(session.sequence.logits);
}

/** The positions of a head's slots; none where it does not store them. */
export function positionsOf({ columns }: HeadCopy): Uint32Array {
  const { position } = columns;
  return position === undefined ? new Uint32Array(0) : new Uint32Array(position.buffer);
}

import type { Plugin } from "../plugin";
import { adaSnapkv } from "./ada-kv";
import { criticalkv } from "./criticalkv";
import { expectedAttention, expectedMass } from "./expected-attention";
import { keydiff } from "./keydiff";
import { knorm } from "./knorm";
import { kvzip } from "./kvzip";
import { layerWindow } from "./layer-window";
import { pyramidkv } from "./pyramidkv";
import { rKv, unlikeness } from "./r-kv";
import { random } from "./random";
import { scissorhands } from "./scissorhands";
import { pooledWindowMass, snapkv } from "./snapkv";
import { layerLastMass, tova } from "./tova";

/** The field's policies, which every registry knows; StreamingLLM, H2O and FastGen are presets. */
export const FIELD: readonly Plugin[] = [
  random,
  knorm,
  keydiff,
  layerLastMass,
  tova,
  scissorhands,
  pooledWindowMass,
  snapkv,
  pyramidkv,
  adaSnapkv,
  expectedMass,
  expectedAttention,
  criticalkv,
  kvzip,
  unlikeness,
  rKv,
  layerWindow,
];

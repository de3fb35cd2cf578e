/**
 * A score, capped where `capped` by the parameter `soft_cap`: softCap · tanh(score / softCap). Drivers compute tanh from
 * exponentials that overflow, and beyond 15 it is 1.
 */
export function softCapped(capped: boolean, score: string): string {
  return capped ? `params.soft_cap * tanh(clamp((${score}) / params.soft_cap, -15.0, 15.0))` : score;
}

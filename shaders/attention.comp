// attention: softmax(scale * q k^T + bias) v for every head, in one pass over the keys that keeps no scores (online
// softmax: Milakov and Gimelshein 2018, Rabe and Staats 2021).
//
// Tokens     attend within sets, which are as many in every image. A token (y, x) of the set at (sy, sx) lies at pixel
//            (sy * setStepH + y * tokenStepH, sx * setStepW + x * tokenStepW). One set of all pixels is global
//            attention; a set for each place in a patch is MobileViT's; with kWindows == 1 sets are Swin's windows: the
//            map is rolled up and left by the shift and padded at its end with tokens that `constants` hold; a relative
//            position has a bias; the parts of the map that the roll brings together do not see each other.
// Layouts    input [images][pixels][q, k, v][heads][kHeadGroups], output [images][pixels][heads][kHeadGroups] of 4
//            channels of one head: each head is padded to whole groups with zeros, and stays so;
//            constants [(2 setHeight - 1) * (2 setWidth - 1)][ceil(heads / 4)] biases, lane head % 4 of group head / 4,
//            then one padded token, laid out as a pixel of the input.
// Work       an invocation takes kTileX queries of one head, loads each key and value once for all of them, and holds
//            queries and results in registers. kGroupLanes invocations take queries side by side; the other
//            kShareLanes share out the keys of each and are merged in order, so the same input gives the same bits.
//            Products, scores and sums are float32 in every precision: what float16 holds overflows none of them.
// Memory     40 bytes an invocation: 10 KiB for 256. Next to none with kShareLanes == 1.
// Needs      kPadding == 1 where windows hang over the map's end. Padded queries are not stored.
// Macros     FP16, TEXEL (include/storage.glsl).
// Dispatch   ceil(images * sets * heads * ceil(tokens of a set / kTileX) / kGroupLanes) workgroups over x and y.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "include/storage.glsl"
#include "include/index.glsl"
#include "include/params.h"
#include "include/tile.glsl"

layout(constant_id = 2) const int kHeadGroups = 8;
layout(constant_id = 3) const uint kWindows = 0u;
layout(constant_id = 4) const uint kPadding = 0u;

layout(push_constant) uniform Push { AttentionParams p; };

READS(0, loadInput)
READS(1, loadConstants)
WRITES(2, storeOutput)

const float kLowest = -3.402823466e38;
const int kTileGroups = kTileX * kHeadGroups;
const uint kShared = kShareLanes > 1u ? kInvocations : 1u;
shared vec4 laneSums[2u * kShared];
shared float laneLargest[kShared];
shared float laneWeights[kShared];

struct Set {
    uint image, head;
    int y, x;  // of its first token
};
struct Token {
    int y, x;        // in its set
    int pixel;       // of the whole batch
    bool isPadding;  // `pixel` is then another one
    int part;        // of the rolled map
};

// The queries of this invocation, and for each: the largest score so far, and the sums of exp(score - largest) and of
// the values times that.
Token queryTokens[kTileX];
Element4 queries[kTileGroups];
float largest[kTileX];
float weights[kTileX];
vec4 sums[kTileGroups];

// After a roll, the last window has two parts that came from opposite ends of the map.
int partOf(int at, int padded, int window, int shift) {
    return shift == 0 || at < padded - window ? 0 : at < padded - shift ? 1 : 2;
}

Token tokenAt(Set set, int y, int x) {
    const int height = int(p.mapHeight), width = int(p.mapWidth);
    int mapY = set.y + y * int(p.tokenStepH), mapX = set.x + x * int(p.tokenStepW);
    Token token = Token(y, x, 0, false, 0);
    if (kWindows == 1u) {
        const int paddedHeight = int(p.setsDown * p.setHeight), paddedWidth = int(p.setsAcross * p.setWidth);
        token.part = 3 * partOf(mapY, paddedHeight, int(p.setHeight), p.shiftH) +
                     partOf(mapX, paddedWidth, int(p.setWidth), p.shiftW);
        if (kPadding == 1u) {
            token.isPadding = mapY >= height || mapX >= width;
            mapY = min(mapY, height - 1);
            mapX = min(mapX, width - 1);
        }
        mapY += p.shiftH;
        mapX += p.shiftW;
        mapY -= mapY >= height ? height : 0;
        mapX -= mapX >= width ? width : 0;
    }
    token.pixel = (int(set.image) * height + mapY) * width + mapX;
    return token;
}

// Group `group` of q, k or v (0, 1, 2) of a token.
Element4 loadGroup(Token token, uint which, uint head, int group) {
    const int pixelGroups = int(3 * p.heads) * kHeadGroups;
    const int offset = int(which * p.heads + head) * kHeadGroups + group;
    if (kPadding == 1u && token.isPadding) {
        const int biases = int((2 * p.setHeight - 1) * (2 * p.setWidth - 1) * ((p.heads + 3) / 4));
        return loadConstants(biases + offset);
    }
    return loadInput(token.pixel * pixelGroups + offset + p.inBase);
}

float loadBias(Token query, Token key, uint head) {
    const int dy = query.y - key.y + int(p.setHeight) - 1, dx = query.x - key.x + int(p.setWidth) - 1;
    const int position = dy * (2 * int(p.setWidth) - 1) + dx;
    return float(loadConstants(position * int((p.heads + 3) / 4) + int(head / 4))[head % 4]);
}

// exp(x), and zero where that is nothing to a sum of at least 1.
float share(float x) { return x > -60.0 ? exp(x) : 0.0; }

void beginQueries(Set set, uint firstQuery) {
    [[unroll]] for (int x = 0; x < kTileX; ++x) {
        const uint query = min(firstQuery + x, p.setHeight * p.setWidth - 1);
        queryTokens[x] = tokenAt(set, int(query / p.setWidth), int(query % p.setWidth));
        largest[x] = kLowest;
        weights[x] = 0.0;
        [[unroll]] for (int group = 0; group < kHeadGroups; ++group) {
            queries[x * kHeadGroups + group] = loadGroup(queryTokens[x], 0, set.head, group);
            sums[x * kHeadGroups + group] = vec4(0.0);
        }
    }
}

void addKey(Set set, Token key) {
    vec4 products[kTileX];
    [[unroll]] for (int x = 0; x < kTileX; ++x) products[x] = vec4(0.0);
    [[unroll]] for (int group = 0; group < kHeadGroups; ++group) {
        const vec4 value = vec4(loadGroup(key, 1, set.head, group));
        [[unroll]] for (int x = 0; x < kTileX; ++x) products[x] += vec4(queries[x * kHeadGroups + group]) * value;
    }
    float before[kTileX];  // what earlier sums are multiplied by
    float now[kTileX];     // what this value is multiplied by
    [[unroll]] for (int x = 0; x < kTileX; ++x) {
        const vec4 product = products[x];
        float score = p.scale * ((product.x + product.y) + (product.z + product.w));
        bool isHidden = false;
        if (kWindows == 1u) {
            score += loadBias(queryTokens[x], key, set.head);
            isHidden = queryTokens[x].part != key.part;
        }
        const float ahead = isHidden ? kLowest : score - largest[x];
        const float smaller = share(-abs(ahead));
        before[x] = ahead > 0.0 ? smaller : 1.0;
        now[x] = ahead > 0.0 ? 1.0 : smaller;
        largest[x] = ahead > 0.0 ? score : largest[x];
        weights[x] = weights[x] * before[x] + now[x];
    }
    [[unroll]] for (int group = 0; group < kHeadGroups; ++group) {
        const vec4 value = vec4(loadGroup(key, 2, set.head, group));
        [[unroll]] for (int x = 0; x < kTileX; ++x) {
            sums[x * kHeadGroups + group] = sums[x * kHeadGroups + group] * before[x] + value * now[x];
        }
    }
}

// This invocation's share of the keys.
void addKeys(Set set) {
    const uint tokens = p.setHeight * p.setWidth;
    const uint perLane = (tokens + kShareLanes - 1) / kShareLanes;
    const uint begin = shareLane() * perLane, end = min(begin + perLane, tokens);
    int y = int(begin / p.setWidth), x = int(begin % p.setWidth);
    for (uint token = begin; token < end; ++token) {
        addKey(set, tokenAt(set, y, x));
        const bool wraps = ++x == int(p.setWidth);
        x = wraps ? 0 : x;
        y += wraps ? 1 : 0;
    }
}

// The results of the invocations that share query x, added up by the first of them.
void mergeLanes(int x) {
    laneLargest[gl_LocalInvocationIndex] = largest[x];
    laneWeights[gl_LocalInvocationIndex] = weights[x];
    barrier();
    float largestOfAll = kLowest;
    for (uint lane = 0; lane < kShareLanes; ++lane) {
        largestOfAll = max(largestOfAll, laneLargest[lane * kGroupLanes + groupLane()]);
    }
    float weight = 0.0;
    for (uint lane = 0; lane < kShareLanes; ++lane) {
        const uint other = lane * kGroupLanes + groupLane();
        weight += laneWeights[other] * share(laneLargest[other] - largestOfAll);
    }
    weights[x] = weight;
    const float factor = share(largest[x] - largestOfAll);
    [[unroll]] for (int group = 0; group < kHeadGroups; ++group) {
        // Two parts in turn: nobody writes to one before all have read what it held.
        const uint part = uint(group % 2) * kShared;
        laneSums[part + gl_LocalInvocationIndex] = sums[x * kHeadGroups + group] * factor;
        barrier();
        vec4 sum = vec4(0.0);
        for (uint lane = 0; shareLane() == 0 && lane < kShareLanes; ++lane) {
            sum += laneSums[part + lane * kGroupLanes + groupLane()];
        }
        sums[x * kHeadGroups + group] = sum;
    }
}

void storeQuery(Set set, int x) {
    const int begin = (queryTokens[x].pixel * int(p.heads) + int(set.head)) * kHeadGroups + p.outBase;
    const float factor = 1.0 / weights[x];
    [[unroll]] for (int group = 0; group < kHeadGroups; ++group) {
        storeOutput(begin + group, sums[x * kHeadGroups + group] * factor);
    }
}

void main() {
    const uint tokens = p.setHeight * p.setWidth, tiles = (tokens + kTileX - 1) / kTileX;
    const uint setsPerImage = p.setsDown * p.setsAcross;
    const uint tile = flatWorkgroup() * kGroupLanes + groupLane();  // of all heads, sets and images
    const uint headIndex = tile / tiles, setIndex = headIndex / p.heads;
    const uint firstQuery = (tile - headIndex * tiles) * kTileX;
    const bool isWorking = setIndex < p.images * setsPerImage;
    if (kShareLanes == 1u && !isWorking) return;

    const uint image = setIndex / setsPerImage, setOfImage = setIndex - image * setsPerImage;
    const Set set = Set(p.imageBegin + image, headIndex - setIndex * p.heads,
                        int(setOfImage / p.setsAcross * p.setStepH), int(setOfImage % p.setsAcross * p.setStepW));
    if (isWorking) {
        beginQueries(set, firstQuery);
        addKeys(set);
    }
    [[unroll]] for (int x = 0; x < kTileX; ++x) {
        if (kShareLanes > 1u) mergeLanes(x);
        const bool isStored = isWorking && shareLane() == 0 && firstQuery + x < tokens;
        if (isStored && !queryTokens[x].isPadding) storeQuery(set, x);
    }
}

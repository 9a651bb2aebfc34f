#version 330 core
// Where the pixel's ray meets the ellipsoid, lit by a lamp at the camera.

uniform vec4 pinhole;
uniform vec2 range;

flat in vec3 centre;
flat in mat3 to_ball;
flat in vec3 albedo;

out vec4 shade;

void main() {
    vec3 ray = vec3((gl_FragCoord.xy - pinhole.zw) / pinhole.xy, 1.0);  // its length along z is the depth
    vec3 start = -(to_ball * centre), way = to_ball * ray;
    // From the point of the ray nearest to the ball's centre: far and small ones keep their digits.
    float closest = -dot(start, way) / dot(way, way);
    vec3 beside = start + closest * way;
    float inside = 1.0 - dot(beside, beside);
    if (inside < 0.0) {
        discard;
    }
    float depth = closest - sqrt(inside / dot(way, way));
    vec3 normal = normalize(transpose(to_ball) * (start + depth * way));
    float facing = max(-dot(normal, normalize(ray)), 0.0);
    shade = vec4(albedo * (0.3 + 0.7 * facing), 1.0);
    gl_FragDepth = log2(depth / range.x) / log2(range.y / range.x);  // as exact far away as near
}

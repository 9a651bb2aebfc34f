#version 330 core
// One rectangle an ellipsoid, as tight as its outline on the screen allows.

uniform mat4 world_to_camera;  // OpenCV axes: x right, y down, z forward
uniform vec4 pinhole;          // fx, fy, cx, cy in pixels
uniform vec2 size;             // of the image, in pixels
uniform vec2 range;            // depths that are drawn, from and to
uniform float least;           // half-axis below which none is drawn, in pixels: small ones don't flicker

in vec3 mean;
in vec4 quat;  // w, x, y, z; any length but 0
in vec3 half_axes;
in vec3 color;

flat out vec3 centre;  // in camera coordinates
flat out mat3 to_ball; // from camera coordinates about the centre to those in which it is the unit ball
flat out vec3 albedo;

mat3 rotation(vec4 q) {
    q = normalize(q);
    vec3 twice = 2.0 * q.yzw;
    vec3 cross_terms = q.x * twice;
    vec3 squares = q.yzw * twice;
    float xy = q.y * twice.y, xz = q.y * twice.z, yz = q.z * twice.z;
    return mat3(
        1.0 - squares.y - squares.z, xy + cross_terms.z, xz - cross_terms.y,
        xy - cross_terms.z, 1.0 - squares.x - squares.z, yz + cross_terms.x,
        xz + cross_terms.y, yz - cross_terms.x, 1.0 - squares.x - squares.y
    );
}

void main() {
    centre = (world_to_camera * vec4(mean, 1.0)).xyz;
    albedo = color;
    mat3 axes = mat3(world_to_camera) * rotation(quat);
    vec3 lengths = max(half_axes, vec3(least * max(centre.z, range.x) / min(pinhole.x, pinhole.y)));
    mat3 stretched = mat3(axes[0] * lengths.x, axes[1] * lengths.y, axes[2] * lengths.z);
    to_ball = transpose(mat3(axes[0] / lengths.x, axes[1] / lengths.y, axes[2] / lengths.z));

    // The dual conic of the outline, in coordinates x / z and y / z; its tangents along the axes are the bounds.
    mat3 outline = stretched * transpose(stretched) - outerProduct(centre, centre);
    float depth = sqrt(max(outline[2][2] + centre.z * centre.z, 0.0));
    if (centre.z - depth < range.x) {
        gl_Position = vec4(2.0, 2.0, 2.0, 1.0);  // it reaches behind the camera: beyond the screen
        return;
    }
    vec2 middle = outline[2].xy / outline[2][2];
    vec2 reach = sqrt(max(middle * middle - vec2(outline[0][0], outline[1][1]) / outline[2][2], 0.0));
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
    vec2 pixel = (middle + corner * reach) * pinhole.xy + pinhole.zw;
    gl_Position = vec4(2.0 * pixel / size - 1.0, 0.0, 1.0);
}
